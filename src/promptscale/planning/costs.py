"""What a configuration costs before anything starts: hours on accelerators, storage and money.

An estimate: every sequence counts with its length, from the package's lengths of the data, and with
its share of padding. Hours are the operations of training and evaluation, divided by the
accelerator's peak times the utilisation in its table, which is lower where text is generated. They
contain no start-up, compilation or waiting for machines.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence

from promptscale.config import grid, outputs
from promptscale.config.accelerators import Work, accelerators
from promptscale.config.axes import further_steps
from promptscale.config.jobs import AnyJob, LanguageModelingJob
from promptscale.config.schema import Config
from promptscale.config.sequences import Gradient
from promptscale.config.sizes import ModelConfig
from promptscale.planning.flops import forward

# The share of padding in the computed positions, by kind of job. Rows of similar lengths pass
# together. How similar they are depends on the number of rows in a step, and both lengths vary in
# prefix LM. Counted for config/paper.yaml's batches and machines with the lengths of lengths.yaml,
# weighed by chip-hours and rounded up; the share of prompt design is assumed.
PADDING = {
    "language_modeling": 0.16,
    "prompt_tuning": 0.11,
    "model_tuning": 0.19,
    "model_tuning_multitask": 0.11,
    "prompt_design": 0.13,
}
_FLOAT = 4  # bytes; what is trained is float32
_PREDICTION = 500  # bytes of a prediction with its input, roughly
_C4_BYTES = 2 * 156e9  # of all of `c4/en` prepared: its tokens (Dodge et al. 2021, section 3)
_ASSUMED = "h100"  # the machine of a size that `hardware` does not name


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of a job or the sum over several.

    Attributes:
      jobs: how many jobs.
      flops: floating-point operations, those of padding among them.
      decoding_flops: those of the decoder where text is generated.
      hours: hours of whole slices.
      accelerator_hours: hours of their chips.
      usd: the price of the accelerators that have a price in the table.
      stored_bytes: results that stay.
      state_bytes: resume states, deleted when each job ends; the sum holds if all run at once.
    """

    jobs: int = 0
    flops: float = 0.0
    decoding_flops: float = 0.0
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
      by_kind: the cost of the target `all` by kind of job.
      search: the cost of the target `hyperparameter_search`, which `all` leaves out.
      utilization: by kind of job, the shares of the peak behind its hours, such as `0.35 assumed`.
      longest_path_hours: the hours that everything takes with as many slices as there are jobs.
      accelerators: the accelerator types that are used.
      unpriced: those of them without a price in the table.
      assumed: the sizes that `hardware` does not name; they are priced on an H100.
    """

    by_kind: Mapping[str, Cost]
    search: Cost
    utilization: Mapping[str, tuple[str, ...]]
    longest_path_hours: float
    accelerators: tuple[str, ...]
    unpriced: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def total(self) -> Cost:
        """The cost of the target `all`."""
        return sum(self.by_kind.values(), Cost())


def job_flops(job: AnyJob | LanguageModelingJob) -> tuple[float, float]:
    """Operations of a job's training and evaluations: all, and those of decoders that generate."""
    flops = decoding = 0.0
    for number, *shape in job.sequences:
        whole, decoder = _mean_flops(job.architecture, PADDING[job.method], *shape)
        flops += number * whole
        decoding += number * decoder
    return flops, decoding


@functools.lru_cache(maxsize=4096)
def _mean_flops(
    architecture: ModelConfig,
    padding: float,
    inputs: tuple[float, ...],
    targets: int | float,
    gradient: Gradient,
) -> tuple[float, float]:
    """A sequence's operations, a mean over its equal parts: all, and of a decoder that generates.

    Jobs that differ in their seeds or the start of their prompts share the result.
    """
    padded = [tokens / (1 - padding) for tokens in inputs]

    def mean(targets: int | float) -> float:
        steps = [forward(architecture, tokens, targets).step(gradient) for tokens in padded]
        return sum(steps) / len(steps)

    whole = mean(targets / (1 - padding))
    return whole, whole - mean(0.0) if gradient == "nothing" else 0.0


def state_bytes(job: AnyJob | LanguageModelingJob) -> float:
    """The bytes of a job's resume state, which has two records that are written in turn."""
    return 2.0 * _FLOAT * job.state_parameters


def job_cost(config: Config, job: AnyJob | LanguageModelingJob, accelerator: str = "") -> Cost:
    """The cost of a job on `accelerator`, or on the type that `hardware` names for its size.

    A size without a machine is priced on an H100, so that no job is free.
    """
    flops, decoding = job_flops(job)
    stored = float(_FLOAT * job.saved_parameters + _PREDICTION * job.predictions)
    state = state_bytes(job)
    kind = accelerators()[accelerator or _machine(config, job.size)]
    parts: dict[Work, float] = {"training": flops - decoding, "decoding": decoding}
    at_peak = sum(part / kind.share_of_peak(work, job.size)[0] for work, part in parts.items())
    hours = at_peak / (kind.devices * kind.peak_tflops * 1e12 * 3600)
    usd = hours * (kind.usd_per_hour or 0.0)
    return Cost(1, flops, decoding, hours, hours * kind.chips, usd, stored, state)


def estimate(config: Config, accelerator: str = "") -> Estimate:
    """The cost of a whole configuration, without the results that exist already."""
    trained = outputs.trained_checkpoints(config)
    models = {pair: grid.language_modeling_job(config, *pair) for pair in trained}
    by_kind: dict[str, Cost] = {}
    shares: dict[str, dict[tuple[Work, str], list[float]]] = {}
    reached: dict[tuple[str, str], float] = {}  # hours until a checkpoint is trained

    def add(job: AnyJob | LanguageModelingJob) -> float:
        kind = job.method
        cost = job_cost(config, job, accelerator)
        by_kind[kind] = by_kind.get(kind, Cost()) + cost
        machine = accelerators()[accelerator or _machine(config, job.size)]
        works: tuple[Work, ...] = ("training", "decoding") if cost.decoding_flops else ("training",)
        for work in works:
            share, basis = machine.share_of_peak(work, job.size)
            shares.setdefault(kind, {}).setdefault((work, basis), []).append(share)
        return cost.hours

    for size, checkpoint in sorted(models, key=lambda pair: further_steps(pair[1])):
        start = grid.start_of(config, checkpoint)
        before = reached.get((size, start), 0.0) if start else 0.0
        reached[size, checkpoint] = before + add(models[size, checkpoint])
    paths = list(reached.values())
    for job in grid.all_jobs(config).values():
        paths.append(reached.get((job.size, job.checkpoint), 0.0) + add(job))
    utilization = {
        kind: tuple(itertools.starmap(_words, by_work.items())) for kind, by_work in shares.items()
    }
    if trained and config.data.corpus.startswith("c4/en") and not config.data.generated:
        share = config.data.corpus_shards_used / config.data.corpus_shards
        by_kind["prepared_text"] = Cost(stored_bytes=share * _C4_BYTES)
    search = sum((job_cost(config, job, accelerator) for job in grid.search_jobs(config)), Cost())
    assumed = () if accelerator else tuple(x for x in config.sizes if x not in config.hardware)
    used = {accelerator or _machine(config, size) for size in config.sizes}
    unpriced = (name for name in used if accelerators()[name].usd_per_hour is None)
    return Estimate(
        by_kind,
        search,
        utilization,
        max(paths),
        tuple(sorted(used)),
        tuple(sorted(unpriced)),
        assumed,
    )


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


def _words(work_and_basis: tuple[Work, str], shares: Sequence[float]) -> str:
    """The shares of the peak in words, such as `decoding 0.03-0.05 measured`."""
    work, basis = work_and_basis
    values = "-".join(f"{share:g}" for share in sorted({min(shares), max(shares)}))
    return f"decoding {values} {basis}" if work == "decoding" else f"{values} {basis}"
