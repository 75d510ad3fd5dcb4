"""Shows the jobs that run: in place on a terminal, and as lines elsewhere."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from snakemake_logger_plugin_promptscale.progress import Progress
from snakemake_logger_plugin_promptscale.running_jobs import Job, described

_SHOWN = 12  # jobs that a terminal shows
_TERMINAL_SECONDS = 2.0  # between two readings of the event files
_LINE_SECONDS = 30.0  # between two lines about a job; longer if more than _SHOWN jobs run


class TerminalDisplay:
    """Overall progress and a row per running job, below the lines that are printed."""

    def __init__(self, console: Console, progress: Progress, jobs: Mapping[int, Job]) -> None:
        """Takes what is shown; both change while this shows them."""
        self._progress, self._jobs = progress, jobs
        self._read, self._table = 0.0, Table.grid()
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=2, transient=True
        )
        self._live.start()

    def print(self, line: str) -> None:
        """Prints a line that stays."""
        self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Removes what is shown in place."""
        self._live.stop()

    def _render(self) -> RenderableType:
        jobs = list(self._jobs.values())
        if time.monotonic() - self._read >= _TERMINAL_SECONDS:
            self._table = _table(jobs[:_SHOWN])
            self._read = time.monotonic()
        more = [Text(f"and {len(jobs) - _SHOWN} more jobs")] if len(jobs) > _SHOWN else []
        return Group(Text(str(self._progress)), self._table, *more)


def _table(jobs: list[Job]) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column(width=10)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
    for job, text, done in described(jobs):
        table.add_row(Text(job.title), ProgressBar(total=1.0, completed=done), Text(text))
    return table


class LineDisplay:
    """A line for each running job now and then, from a thread."""

    def __init__(
        self, write: Callable[[str], None], progress: Progress, jobs: Mapping[int, Job]
    ) -> None:
        """Takes what prints a line, and what is shown; both change while this shows them."""
        self.print = write
        self._progress, self._jobs = progress, jobs
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._print_repeatedly, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the lines."""
        self._closed.set()
        self._thread.join()

    def _print_repeatedly(self) -> None:
        seconds = _LINE_SECONDS
        while not self._closed.wait(seconds):
            jobs = list(self._jobs.values())
            seconds = _LINE_SECONDS * max(1.0, len(jobs) / _SHOWN)
            before = time.time() - seconds
            for job, text, _ in described(job for job in jobs if job.started <= before):
                if self._closed.is_set():
                    return
                if text:
                    with contextlib.suppress(OSError):  # a closed pipe
                        self.print(f"{self._progress}  now    {job.title}: {text}")
