"""The jobs that run now, and how far each is by its event file."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from promptscale.errors import StorageError
from promptscale.planning.job_progress import JobProgress, job_progress
from promptscale.storage.events import read_events
from promptscale.storage.store import open_parent


class Job(NamedTuple):
    """A job that Snakemake has started.

    Attributes:
      rule: its rule.
      title: its message, or the rule's name.
      logs: its log files.
      events: the location of its event file; empty if it has none.
      started: when it was started, in seconds since 1970.
    """

    rule: str
    title: str
    logs: tuple[str, ...] = ()
    events: str = ""
    started: float = 0.0

    def progress(self) -> JobProgress | None:
        """How far the job is; None if its events do not tell, or are of an earlier attempt."""
        if not self.events:
            return None
        now = time.time()
        try:
            progress = job_progress(read_events(*open_parent(self.events)), now)
        except (StorageError, AttributeError, KeyError, TypeError, ValueError):
            return None  # the job warns in its log about a file that it cannot write
        return progress if progress and progress.updated >= self.started - 1 else None


def described(jobs: Iterable[Job]) -> list[tuple[Job, str, float]]:
    """Each job with its progress in words, and the share of its work that is done."""
    rows = []
    for job in jobs:
        progress = job.progress()
        rows.append((job, str(progress or ""), progress.done if progress else 0.0))
    return rows
