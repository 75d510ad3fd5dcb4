"""What a configuration costs before anything starts: hours on accelerators, storage and money.

An upper bound on operations: every sequence counts with the longest length that its job allows.
Hours are the operations of training and evaluation, divided by the accelerator's peak times the
utilisation that its table assumes. They contain no start-up, compilation or waiting for machines.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from promptscale.config import grid, outputs
from promptscale.config.accelerators import Accelerator, accelerators
from promptscale.config.axes import adaptation_steps
from promptscale.config.jobs import AnyJob, LanguageModelingJob
from promptscale.config.schema import Config
from promptscale.planning.flops import forward

_FLOAT = 4  # bytes; what is trained is float32
_PREDICTION = 500  # bytes of a prediction with its input, roughly
_C4_BYTES = 2 * 156e9  # of all of `c4/en` prepared: its tokens (Dodge et al. 2021, section 3)
_ASSUMED = "h100"  # the machine of a size that `hardware` does not name


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of a job or the sum over several.

    Attributes:
      jobs: how many jobs.
      flops: floating-point operations.
      hours: hours of whole slices.
      accelerator_hours: hours of their chips.
      usd: the price of the accelerators that have a price in the table.
      stored_bytes: results that stay.
      state_bytes: resume states, deleted when each job ends; the sum holds if all run at once.
    """

    jobs: int = 0
    flops: float = 0.0
    hours: float = 0.0
    accelerator_hours: float = 0.0
    usd: float = 0.0
    stored_bytes: float = 0.0
    state_bytes: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        """The sum of two costs."""
        fields = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Cost(*map(sum, fields))


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The cost of a configuration.

    Attributes:
      by_kind: the cost by kind of job.
      longest_path_hours: the hours that everything takes with as many slices as there are jobs.
      accelerators: the accelerator types that are used.
      unpriced: those of them without a price in the table.
      assumed: the sizes that `hardware` does not name; they are priced on an H100.
    """

    by_kind: Mapping[str, Cost]
    longest_path_hours: float
    accelerators: tuple[str, ...]
    unpriced: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def total(self) -> Cost:
        """The cost of all jobs."""
        return sum(self.by_kind.values(), Cost())


def job_flops(job: AnyJob | LanguageModelingJob) -> float:
    """Operations of a job's training and evaluations."""
    return sum(
        part.number * forward(job.architecture, part.inputs, part.targets).step(part.gradient)
        for part in job.sequences
    )


def job_cost(config: Config, job: AnyJob | LanguageModelingJob, accelerator: str = "") -> Cost:
    """The cost of a job on `accelerator`, or on the type that `hardware` names for its size.

    A size without a machine is priced on an H100, so that no job is free.
    """
    flops = job_flops(job)
    stored = float(_FLOAT * job.saved_parameters + _PREDICTION * job.predictions)
    state = 2.0 * _FLOAT * job.state_parameters  # two records, written in turn
    kind = accelerators()[accelerator or _machine(config, job.size)]
    hours = flops / (_speed(kind) * 3600)
    usd = hours * (kind.usd_per_hour or 0.0)
    return Cost(1, flops, hours, hours * kind.chips, usd, stored, state)


def estimate(config: Config, accelerator: str = "") -> Estimate:
    """The cost of a whole configuration, without the results that exist already."""
    trained = outputs.trained_checkpoints(config)
    models = {pair: grid.language_modeling_job(config, *pair) for pair in trained}
    by_kind: dict[str, Cost] = {}
    reached: dict[tuple[str, str], float] = {}  # hours until a checkpoint is trained

    def add(kind: str, job: AnyJob | LanguageModelingJob) -> float:
        cost = job_cost(config, job, accelerator)
        by_kind[kind] = by_kind.get(kind, Cost()) + cost
        return cost.hours

    for size, checkpoint in sorted(models, key=lambda pair: adaptation_steps(pair[1])):
        start = grid.start_of(config, checkpoint)
        before = reached.get((size, start), 0.0) if start else 0.0
        reached[size, checkpoint] = before + add("language_modeling", models[size, checkpoint])
    paths = list(reached.values())
    for job in grid.all_jobs(config).values():
        paths.append(reached.get((job.size, job.checkpoint), 0.0) + add(job.method, job))
    if trained and config.data.corpus.startswith("c4/en") and not config.data.generated:
        share = config.data.corpus_shards_used / config.data.corpus_shards
        by_kind["prepared_text"] = Cost(stored_bytes=share * _C4_BYTES)
    assumed = () if accelerator else tuple(x for x in config.sizes if x not in config.hardware)
    used = {accelerator or _machine(config, size) for size in config.sizes}
    unpriced = (name for name in used if accelerators()[name].usd_per_hour is None)
    return Estimate(by_kind, max(paths), tuple(sorted(used)), tuple(sorted(unpriced)), assumed)


def beyond_budget(config: Config, jobs: Iterable[AnyJob | LanguageModelingJob]) -> str | None:
    """The sentence that refuses jobs beyond the budget; None where the budget allows them."""
    allowed = config.budget.accelerator_hours
    needed = sum(job_cost(config, job).accelerator_hours for job in jobs)
    if needed <= allowed:
        return None
    return (
        f"These jobs need about {needed:,.0f} accelerator-hours, and the configuration's "
        f"`budget.accelerator_hours` is {allowed:,.0f}. Raise it to start them; `promptscale plan` "
        "says what they cost."
    )


def _machine(config: Config, size: str) -> str:
    """The accelerator type of a size's jobs."""
    hardware = config.hardware.get(size)
    return hardware.accelerator if hardware else _ASSUMED


def _speed(kind: Accelerator) -> float:
    """Operations per second of a whole slice at the assumed utilisation."""
    return kind.devices * kind.peak_tflops * 1e12 * kind.utilization
