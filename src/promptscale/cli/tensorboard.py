"""The command `tensorboard`: learning curves as the event files of TensorBoard."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from promptscale.cli.status import ConfigFile, StateFolder
from promptscale.config.load import load_config
from promptscale.errors import StorageError
from promptscale.planning.job_progress import LOST_SECONDS
from promptscale.planning.learning_curves import Point, learning_curves
from promptscale.planning.status import recorded_events
from promptscale.storage.events import ENDS, Event
from promptscale.storage.reasons import named_errors, reason

_SECONDS = 30.0  # between two looks at the files


def tensorboard(
    folder: Annotated[Path, typer.Argument(help="Where the files go: a folder for each job.")],
    config: ConfigFile = Path("config/miniature.yaml"),
    state: StateFolder = "",
    watch: Annotated[bool, typer.Option(help="Go on with what jobs record; end it by Ctrl-C.")] = (
        False
    ),
) -> None:
    """Write the learning curves of a configuration's jobs for TensorBoard.

    Example: promptscale tensorboard curves --watch, and beside it: tensorboard --logdir curves
    """
    from tensorboardX import SummaryWriter  # imported here, because it would delay other commands

    settings = load_config(config)
    what = f"The curves cannot be written to {folder}"
    with named_errors(what, StorageError):
        folder.mkdir(parents=True, exist_ok=True)
    files = _Files(folder, SummaryWriter)
    while True:
        for name, events in recorded_events(settings, state).items():
            try:
                files.add(name, events)
            except OSError as error:
                raise StorageError(f"{what}: {reason(error, what)}.") from error
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise StorageError(
                    f"The event file of the job {name} lacks a field, or a field has another type; "
                    "delete the file, which changes no result."
                ) from error
        if not watch:
            break
        time.sleep(_SECONDS)
    jobs = "1 job" if files.jobs == 1 else f"{files.jobs} jobs"
    print(f"{folder} has the curves of {jobs}; tensorboard --logdir {folder} shows them")


class _Files:
    """TensorBoard's files below a folder. The files of a job stay open while the job runs."""

    def __init__(self, folder: Path, writer: Any) -> None:
        self._folder, self._writer = folder, writer
        self._written: dict[str, set[Point]] = {}  # by job
        self._open: dict[str, dict[str, Any]] = {}  # by job and by run

    @property
    def jobs(self) -> int:
        """The number of jobs that have a point."""
        return len(self._written)

    def add(self, job: str, events: list[Event]) -> None:
        """Writes the points that are new. Files of an earlier call of the command are replaced."""
        points = learning_curves(events)
        if points and job not in self._written:
            for file in (self._folder / job).glob("**/events.out.tfevents.*"):
                file.unlink()
        writers, written = self._open.setdefault(job, {}), self._written.get(job, set())
        for run, curve, step, value, seconds in (p for p in points if p not in written):
            if run not in writers:
                writers[run] = self._writer(str(self._folder / job / run))
            writers[run].add_scalar(curve, value, step, seconds)
        if points:
            self._written[job] = written.union(points)
        ended = events[-1]["event"] in ENDS or time.time() - events[-1]["time"] > LOST_SECONDS
        for writer in writers.values():
            writer.close() if ended else writer.flush()
        if ended:
            del self._open[job]
