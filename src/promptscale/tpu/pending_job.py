"""A task on its way to a slice, how it ended, and what a person is told of it."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from promptscale.tpu.cloud import Shape
from promptscale.tpu.remote_job import Task, sha256
from promptscale.tpu.status import Failure


@dataclasses.dataclass(eq=False)
class Work:
    """A task on its way: `outputs` and `log` are where its files go, by their paths in the task.

    `blobs`: the files that it needs, by hash.
    """

    task: Task
    shape: Shape
    blobs: dict[str, Path]
    outputs: dict[str, Path]
    log: Path | None
    interruptions: list[str] = dataclasses.field(default_factory=list)
    attempt: str | None = None
    pieces: int = 0  # of the attempt's log that have been read
    key: str = ""
    ended: dict[int, tuple[str, int]] | None = None  # the beats at which all hosts had ended it
    checked: bool = False  # whether an earlier controller's result was looked for

    @property
    def title(self) -> str:
        """Names the work to a person."""
        return " ".join([self.task.rule, *self.task.wildcards.values()])

    @property
    def stem(self) -> str:
        """Names the slice that is made for this work: rule and wildcards."""
        wildcards = repr(sorted(self.task.wildcards.items())).encode()
        return f"{self.task.rule}-{sha256(wildcards)[:8]}"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How work ended: `error` is None where its outputs are in place."""

    work: Work
    error: str | None = None


def explain(work: Work, name: str, failure: Failure) -> str:
    """What is said of a script's own failure; the rule's log gets the other host's last lines."""
    if failure.host != 0 and work.log:
        with work.log.open("a") as opened:
            opened.write(f"--- the end of host {failure.host}'s log ---\n{failure.tail}")
    lines = failure.tail.splitlines()[-12:]
    return "\n".join([
        f"{work.title} ended with status {failure.code} on host {failure.host} of {name}:",
        *(f"  {line}" for line in lines),
        "",
    ])  # fmt: skip


def report(interrupted: dict[str, list[str]]) -> Iterable[tuple[str, int, str]]:
    """Rows of work, number of interruptions and the last reason, most often interrupted first."""
    order = sorted(interrupted.items(), key=lambda item: -len(item[1]))
    return [(title, len(reasons), reasons[-1]) for title, reasons in order if reasons]
