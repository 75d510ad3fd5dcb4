"""What a configuration costs before anything starts: hours on accelerators, storage and money.

An estimate from above: every sequence counts with the longest length that its job allows. Hours are
the operations of training and evaluation over the peak times the utilisation that
config/accelerators.yaml assumes; start-up, compilation and waiting for machines are not in them.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from promptscale.config import grid, outputs
from promptscale.config.accelerators import Accelerator, accelerators
from promptscale.config.axes import adaptation_steps
from promptscale.config.jobs import (
    AnyJob,
    LanguageModelingJob,
    MultitaskTuningJob,
    PromptDesignJob,
    PromptTuningJob,
)
from promptscale.config.schema import Config
from promptscale.config.tasks import task as task_named
from promptscale.planning.flops import forward

_FLOAT = 4  # bytes; what is trained is kept in float32
_ROW = 500  # bytes of a prediction with its input, roughly
_C4_BYTES = 2 * 156e9  # of all of `c4/en` prepared: its tokens (Dodge et al. 2021, section 3)
_ASSUMED = "h100"  # what a budget counts with where `hardware` names no machine


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of a job, or of several. `usd` leaves out what has no price in the table.

    `hours` are of whole slices, `accelerator_hours` of their chips. `stored_bytes` stay; those of
    `state_bytes`, which jobs resume from, go as each ends (the sum: if all run at once).
    """

    jobs: int = 0
    flops: float = 0.0
    hours: float = 0.0
    accelerator_hours: float = 0.0
    usd: float = 0.0
    stored_bytes: float = 0.0
    state_bytes: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        """Both together."""
        both = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Cost(*(one + another for one, another in both))


@dataclasses.dataclass(frozen=True)
class Estimate:
    """By kind of job, and of everything. `unpriced`: types without a price in the table.

    `longest_path_hours`: how long all would take with as many slices as there are jobs.
    """

    by_kind: Mapping[str, Cost]
    longest_path_hours: float
    accelerators: tuple[str, ...]
    unpriced: tuple[str, ...]

    @property
    def total(self) -> Cost:
        """Everything."""
        return sum(self.by_kind.values(), Cost())


def job_flops(job: AnyJob | LanguageModelingJob) -> float:
    """Operations of a job's training and evaluations."""
    config = job.architecture
    if isinstance(job, LanguageModelingJob):
        length = job.settings.inputs_length
        # Prefix LM pads both sides alike; 512 corrupted inputs have 114 targets.
        targets = length if adaptation_steps(job.checkpoint) else round(length * 114 / 512)
        step = forward(config, length, targets).model_step
        return job.settings.steps * job.settings.batch_size * step
    if isinstance(job, PromptDesignJob):
        examples = job.settings.shots + 1
        return len(job.seeds) * _rows(job.tasks) * forward(config, 512 * examples, 62).total
    prompt = job.settings.prompt_length if isinstance(job, PromptTuningJob) else 0
    one = forward(config, prompt + job.settings.max_input_length, job.settings.max_target_length)
    step = one.prompt_step if isinstance(job, PromptTuningJob) else one.model_step
    training = len(job.runs) * job.settings.steps * job.settings.batch_size * step
    evaluations = -(-job.settings.steps // job.settings.evaluate_every)
    evaluated = 0
    for run in job.runs:
        selecting = job.tasks if isinstance(job, MultitaskTuningJob) else (run.task,)
        evaluated += evaluations * _rows(selecting) + _rows(job.transfer_tasks.get(run.task, ()))
    return training + evaluated * one.total


def job_cost(config: Config, job: AnyJob | LanguageModelingJob, accelerator: str = "") -> Cost:
    """One job on the accelerator that the configuration names for its size, or on another.

    Without either, operations and storage alone are known.
    """
    flops, stored, state = job_flops(job), _stored(job), _state(job)
    hardware = config.hardware.get(job.size)
    name = accelerator or (hardware.accelerator if hardware else "")
    if not name:
        return Cost(1, flops, stored_bytes=stored, state_bytes=state)
    kind = accelerators()[name]
    hours = flops / (_speed(kind) * 3600)
    usd = hours * (kind.usd_per_hour or 0.0)
    return Cost(1, flops, hours, hours * kind.chips, usd, stored, state)


def estimate(config: Config, accelerator: str = "") -> Estimate:
    """The whole configuration's cost, as if nothing were done yet."""
    trained = outputs.trained_checkpoints(config)
    models = {pair: grid.language_modeling_job(config, *pair) for pair in trained}
    by_kind: dict[str, Cost] = {}
    reached: dict[tuple[str, str], float] = {}  # hours until a frozen model is there

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
    used = {accelerator} if accelerator else {one.accelerator for one in config.hardware.values()}
    unpriced = (name for name in used if accelerators()[name].usd_per_hour is None)
    return Estimate(by_kind, max(paths), tuple(sorted(used)), tuple(sorted(unpriced)))


def beyond_budget(config: Config, jobs: Iterable[AnyJob | LanguageModelingJob]) -> str | None:
    """Why these jobs may not start, in a sentence; None where the budget allows them.

    A size that has no `hardware` counts as if it ran on one H100, so that no job is free.
    """
    allowed = config.budget.accelerator_hours
    wanted = sum(
        job_cost(config, job, "" if job.size in config.hardware else _ASSUMED).accelerator_hours
        for job in jobs
    )
    if wanted <= allowed:
        return None
    return (
        f"These jobs need about {wanted:,.0f} accelerator-hours, and the configuration's "
        f"`budget.accelerator_hours` is {allowed:,.0f}. Raise it to start them; `promptscale plan` "
        "says what they cost."
    )


def _speed(kind: Accelerator) -> float:
    """Operations per second of a whole slice, as assumed."""
    return kind.devices * kind.peak_tflops * 1e12 * kind.utilization


def _rows(tasks: Iterable[str]) -> int:
    return sum(task_named(task).published_rows("validation") for task in tasks)


def _stored(job: AnyJob | LanguageModelingJob) -> float:
    """Bytes that stay: of a language model its weights, of runs their prompts and predictions."""
    if isinstance(job, LanguageModelingJob):
        return float(_FLOAT * job.architecture.num_parameters)
    stored = 0.0
    for run in job.runs:
        stored += _ROW * _rows(job.transfer_tasks.get(run.task, ()))
        stored += _ROW * _rows(job.tasks if isinstance(job, MultitaskTuningJob) else (run.task,))
        if isinstance(job, PromptTuningJob):
            stored += _FLOAT * job.settings.prompt_length * job.architecture.d_model
    return stored


def _state(job: AnyJob | LanguageModelingJob) -> float:
    """Bytes of the two states that a job keeps in turn.

    What is trained, and the best of it where steps are selected; Adafactor's moments are factored
    and too small to count.
    """
    weights = job.architecture.num_parameters
    if isinstance(job, LanguageModelingJob):
        return 2.0 * _FLOAT * weights
    if isinstance(job, PromptDesignJob):
        return 0.0
    if isinstance(job, PromptTuningJob):
        weights = job.settings.prompt_length * job.architecture.d_model
    return 2.0 * 2.0 * _FLOAT * weights * len(job.runs)
