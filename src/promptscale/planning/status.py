"""How far a configuration's grid is, from files alone: outputs, event files and logs.

A job is done if its output exists. A job that is not done is what its event file says
(`job_progress`), and waits if it has none. Nothing of Snakemake's is read, so it does not matter
whether it runs, and on which machine.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from promptscale.config import grid, outputs
from promptscale.config.jobs import AnyJob, LanguageModelingJob
from promptscale.config.schema import Config
from promptscale.errors import StorageError
from promptscale.planning.costs import job_cost
from promptscale.planning.job_progress import JobProgress, job_progress
from promptscale.storage.events import Event, parse_events
from promptscale.storage.reasons import named_errors
from promptscale.storage.store import Store

State = Literal["done", "running", "failed", "waiting"]
Basis = Literal["finished jobs", "plan", "nothing"]
STATES: tuple[State, ...] = ("done", "running", "failed", "waiting")
_PREPARATION, _RESULTS = "preparation", "results"
_TAIL = 2**14  # bytes of a log that are searched for its last sentence


class GridJob(NamedTuple):
    """A job of the workflow, as far as files tell of it.

    Attributes:
      kind: the method of a job, `language_modeling`, `preparation` or `results`.
      size: the model's size; empty if the job has no model.
      name: the job's log is `<results>/logs/NAME.log`, its event file `<state>/events/NAME.jsonl`.
      outputs: files that all exist when the job is done.
      planned: what it computes; None if its cost is not estimated.
    """

    kind: str
    size: str
    name: str
    outputs: tuple[str, ...]
    planned: AnyJob | LanguageModelingJob | None = None


class JobStatus(NamedTuple):
    """A job, its state, what its events say, and why it failed."""

    job: GridJob
    state: State
    progress: JobProgress | None
    reason: str
    log: str


@dataclasses.dataclass(frozen=True)
class Amount:
    """Time of jobs: their hours, and the hours of their accelerators' devices or chips."""

    hours: float = 0.0
    accelerator_hours: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        """The sum of both."""
        return Amount(self.hours + other.hours, self.accelerator_hours + other.accelerator_hours)

    def times(self, factor: float, accelerator_factor: float) -> "Amount":
        """The hours and the accelerator-hours, each multiplied."""
        return Amount(self.hours * factor, self.accelerator_hours * accelerator_factor)


@dataclasses.dataclass(frozen=True)
class GridStatus:
    """The status of a grid.

    Attributes:
      jobs: every job, with its state.
      spent: what all jobs took so far, failed attempts among them.
      left: an estimate of what the jobs will take that are not done: that of the plan, times what
        finished jobs of the same method and size took in relation to their estimates.
      basis: what the estimate rests on: `finished jobs`, the `plan` alone, or `nothing` where no
        job is done and the configuration names no hardware.
      notes: a sentence for each event file that cannot be used.
    """

    jobs: tuple[JobStatus, ...]
    spent: Amount
    left: Amount
    basis: Basis
    notes: tuple[str, ...]

    def of(self, state: State) -> list[JobStatus]:
        """The jobs in a state."""
        return [status for status in self.jobs if status.state == state]

    def counts(self) -> dict[tuple[str, str], dict[State, int]]:
        """The number of jobs in each state, by kind and size."""
        rows: dict[tuple[str, str], dict[State, int]] = {}
        for status in self.jobs:
            row = rows.setdefault((status.job.kind, status.job.size), dict.fromkeys(STATES, 0))
            row[status.state] += 1
        return rows


def grid_jobs(config: Config) -> Iterator[GridJob]:
    """Every job of the target `all` that takes time, in the order in which they can start.

    Short jobs that follow the trainings, such as votes, are no part of it, and neither is a
    hyperparameter search.
    """
    results, data = config.paths.results, f"{config.paths.results}/data"
    trained = set(outputs.trained_checkpoints(config))
    shards = config.data.corpus_shards_used if trained else 0
    splits = outputs.splits(config)
    preparations = {
        "generate_world" if config.data.generated else "fetch_vocabulary": outputs.vocabulary(
            config
        ),
        **{
            "prepare/tasks" if config.data.generated else f"prepare/{task}-{split}": (
                f"{data}/{task}/{split}.jsonl"
            )
            for task, split in splits
        },
        **{
            f"prepare/c4-train-{shard}": (
                f"{data}/c4/train-{shard}-of-{config.data.corpus_shards}.safetensors"
            )
            for shard in range(shards)
        },
    }
    for name, output in preparations.items():
        yield GridJob(_PREPARATION, "", name, (output,))
    for size, checkpoint in outputs.checkpoints(config):
        trains = (size, checkpoint) in trained
        job = grid.language_modeling_job(config, size, checkpoint) if trains else None
        name, output = f"models/{size}-{checkpoint}", f"models/{size}/{checkpoint}/model.json"
        kind = job.method if job else "import_checkpoint"
        yield GridJob(kind, size, name, (f"{results}/{output}",), job)
    for tuning in grid.all_jobs(config).values():
        output = f"{results}/runs/{tuning.name}/metrics.csv"
        yield GridJob(tuning.method, tuning.size, f"runs/{tuning.name}", (output,), tuning)
    rendered = {
        "figures": f"{config.paths.figures}/figure4.csv",
        "tables": f"{results}/tables/table4.csv",
        "claims": f"{results}/claims.csv",
        "page": f"{results}/index.html",
    }
    for name, output in rendered.items():
        # Without the table of runs, figures and tables were drawn from published results.
        yield GridJob(_RESULTS, "", name, (output, f"{results}/runs.csv"))


def grid_status(config: Config, now: float, state_folder: str = "") -> GridStatus:
    """The status at the time `now`, in seconds since 1970.

    Args:
      config: the configuration that runs.
      now: jobs that have recorded nothing for long count as failed.
      state_folder: where the event files are, if not where the configuration says.

    Raises:
      StorageError: the folder of the results, or that of the event files, cannot be read.
    """
    jobs = list(grid_jobs(config))
    statuses: list[JobStatus] = []
    notes: list[str] = []
    files = _event_files(config, state_folder, jobs)
    results = config.paths.results
    if state_folder and not any(content for content, _ in files.values()):
        notes.append(f"No job of this configuration has recorded anything in {state_folder}.")
    for job in jobs:
        progress = None
        try:
            progress = _progress(*files[job.name], now)
        except StorageError as error:
            notes.append(str(error))
        with named_errors(f"The folder {results} cannot be read", StorageError):
            statuses.append(_job_status(job, progress, f"{results}/logs/{job.name}.log"))
    spent = sum((_spent(status.progress) for status in statuses), Amount())
    left, basis = _left(config, statuses)
    return GridStatus(tuple(statuses), spent, left, basis, tuple(notes))


def recorded_events(config: Config, state_folder: str = "") -> dict[str, list[Event]]:
    """The events of each job that has recorded any, by the job's name.

    Raises:
      StorageError: the folder of the event files cannot be read, or a line is no event.
    """
    files = _event_files(config, state_folder, list(grid_jobs(config)))
    return {name: parse_events(*file) for name, file in files.items() if file[0]}


def _event_files(
    config: Config, state_folder: str, jobs: Sequence[GridJob]
) -> dict[str, tuple[bytes | None, str]]:
    """The content of each job's event file, None if there is none, and its place."""
    store = Store(state_folder or outputs.state_folder(config))
    keys = {job.name: f"events/{job.name}.jsonl" for job in jobs}
    contents = store.read_many(list(keys.values()))
    return {name: (contents[key], f"{store.location}/{key}") for name, key in keys.items()}


def _progress(content: bytes | None, place: str, now: float) -> JobProgress | None:
    events = parse_events(content, place)
    try:
        return job_progress(events, now)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{place}: a field of its events is missing or of another type; delete the file, which "
            "changes no result."
        ) from error


def _job_status(job: GridJob, progress: JobProgress | None, log: str) -> JobStatus:
    if all(Path(output).exists() for output in job.outputs):
        return JobStatus(job, "done", progress, "", log)
    if progress is None or progress.state == "finished":
        return JobStatus(job, "waiting", progress, "", log)
    if progress.state == "running":
        return JobStatus(job, "running", progress, "", log)
    reason = progress.error
    if progress.state == "lost":
        reason = f"It was killed, or its machine was lost. {_last_line(log)}".strip()
    return JobStatus(job, "failed", progress, reason, log)


def _last_line(log: str) -> str:
    """The last line of a log that is not empty, as a sentence about the log."""
    try:
        with Path(log).open("rb") as file:
            file.seek(max(0, Path(log).stat().st_size - _TAIL))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"Its log ends with: {line}" if line else ""


def _spent(progress: JobProgress | None) -> Amount:
    hours = progress.seconds / 3600 if progress else 0.0
    return Amount(hours, hours * progress.devices if progress else 0.0)


def _left(config: Config, statuses: Sequence[JobStatus]) -> tuple[Amount, Basis]:
    """What is left, and what the estimate rests on."""
    costs = {
        status.job.name: job_cost(config, status.job.planned)
        for status in statuses
        if status.job.planned
    }
    estimates = {name: Amount(cost.hours, cost.accelerator_hours) for name, cost in costs.items()}
    finished = [
        (status.job, _spent(status.progress), estimates[status.job.name])
        for status in statuses
        if status.state == "done" and status.progress and status.job.name in estimates
    ]
    left = Amount()
    for status in statuses:
        if status.state != "done" and status.job.name in estimates:
            # A job whose outputs were deleted waits, although its last attempt was finished.
            progress = None if status.state == "waiting" else status.progress
            share = 1.0 - progress.done if progress else 1.0
            left += _corrected(estimates[status.job.name], status.job, finished, share)
    if finished:
        return left, "finished jobs"
    return left, "plan" if config.hardware else "nothing"


def _corrected(
    estimate: Amount, job: GridJob, finished: Sequence[tuple[GridJob, Amount, Amount]], share: float
) -> Amount:
    """A share of an estimate, times what finished jobs took in relation to their estimates.

    The finished jobs are those of the same kind and size, else of the same kind, else all.
    """
    alike = [
        [row for row in finished if (row[0].kind, row[0].size) == (job.kind, job.size)],
        [row for row in finished if row[0].kind == job.kind],
        finished,
    ]
    rows = next(filter(None, alike), [])
    taken = sum((taken for _, taken, _ in rows), Amount())
    expected = sum((expected for _, _, expected in rows), Amount())
    if not expected.hours:
        return estimate.times(share, share)
    return estimate.times(
        share * taken.hours / expected.hours,
        share * taken.accelerator_hours / expected.accelerator_hours,
    )
