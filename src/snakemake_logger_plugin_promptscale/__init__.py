"""A Snakemake logger (`--logger promptscale`): a line per event, and how far running jobs are.

A terminal shows overall progress and each running job in place, below the lines. Elsewhere each
running job has a line now and then. A dry run prints the number of jobs of each rule. Snakemake's
full output is in `.snakemake/log/`.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_promptscale.home import provide_home
from snakemake_logger_plugin_promptscale.progress import Progress

if TYPE_CHECKING:
    from snakemake_logger_plugin_promptscale.display import LineDisplay, TerminalDisplay
    from snakemake_logger_plugin_promptscale.running_jobs import Job

# Snakemake imports its plugins before it does anything else, whichever logger is chosen. No other
# code of this project runs so early.
provide_home()

_LOG_LINES = 8  # of a failed job's log
_TARGETS = (
    "config/README.md lists the targets. From published results (--profile cached) there are only "
    "figures, tables, claims and the page: nothing can be trained."
)


class LogHandler(LogHandlerBase):
    """Prints the workflow's progress to standard error."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Starts without jobs; Snakemake logs the number of jobs before the first job."""
        self._progress = Progress()
        self._planned = False
        self._jobs: dict[int, Job] = {}  # by id
        self._running: dict[int, Job] = {}
        self._failed: dict[int, Job] = {}  # until another attempt succeeds
        self._display: LineDisplay | TerminalDisplay | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the lines for an event; plain messages only if they are warnings or errors."""
        try:
            for line in self._lines(record, record.__dict__):
                self._print(line)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Ends the display, and names the jobs that failed."""
        display, self._display = self._display, None
        if display:
            display.close()
        for job in self._failed.values():
            self._print(f"failed: {job.title}; its log is {', '.join(job.logs) or 'missing'}")
        if self._failed:
            self._print("`promptscale status` says how far the run is.")
        self._failed.clear()
        super().close()

    def _print(self, line: str) -> None:
        (self._display.print if self._display else _print_line)(line)

    def _lines(self, record: logging.LogRecord, fields: dict[str, Any]) -> Iterator[str]:
        match fields.get("event"):
            case LogEvent.RUN_INFO if self.common_settings.dryrun:
                if not self._planned:  # Snakemake logs it before and after a dry run
                    self._planned = True
                    yield from (f"{rule:<32}{n:>7,}" for rule, n in fields["stats"].items())
            case LogEvent.RUN_INFO:
                self._progress.expect(fields["stats"])
            case LogEvent.JOB_INFO if not self.common_settings.dryrun:
                yield self._start(fields)
            case LogEvent.JOB_FINISHED:
                job = fields["job_id"]
                seconds = self._progress.finish(job)
                self._running.pop(job, None)
                self._failed.pop(job, None)
                yield f"{self._progress}  done   {self._jobs[job].title} ({seconds:.0f} s)"
            case LogEvent.JOB_ERROR:
                yield from self._failure(fields["jobid"], fields.get("rule_msg"))
            case None if record.levelno >= logging.WARNING:
                yield record.getMessage()
            case LogEvent.ERROR:
                yield record.getMessage()
                if "No rule to produce" in record.getMessage():
                    yield _TARGETS

    def _start(self, fields: dict[str, Any]) -> str:
        from snakemake_logger_plugin_promptscale.running_jobs import Job

        rule = fields["rule_name"]
        job = Job(
            rule,
            fields.get("rule_msg") or rule,
            tuple(map(str, fields.get("log") or ())),
            (fields.get("resources") or {}).get("events", ""),
            time.time(),
        )
        number = fields["jobid"]
        self._jobs[number] = self._running[number] = job
        self._progress.start(number, rule)
        if self._display is None:
            self._display = self._new_display()
        return f"{self._progress}  start  {job.title}"

    def _new_display(self) -> "LineDisplay | TerminalDisplay":
        # Imported here, because a dry run needs neither.
        from rich.console import Console

        from snakemake_logger_plugin_promptscale.display import LineDisplay, TerminalDisplay

        console = Console(stderr=True)
        if console.is_terminal and not console.is_dumb_terminal:
            return TerminalDisplay(console, self._progress, self._running)
        return LineDisplay(_print_line, self._progress, self._running)

    def _failure(self, number: int, message: str | None) -> Iterator[str]:
        """An executor's message about a failed job, or else the end of the job's log."""
        from snakemake_logger_plugin_promptscale.running_jobs import Job

        self._running.pop(number, None)
        job = self._failed[number] = self._jobs.get(number, Job("?", "?"))
        yield f"{self._progress}  FAILED {job.title} (rule {job.rule})"
        if message:
            yield from (f"  {line}" for line in message.splitlines())
            return
        for log in job.logs:
            yield f"  the end of {log}:"
            if Path(log).exists():
                lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
                yield from (f"    {line}" for line in lines[-_LOG_LINES:])


def _print_line(line: str) -> None:
    try:
        sys.stderr.write(f"{line}\n")  # in a single piece, as two threads write
        sys.stderr.flush()
    except BrokenPipeError:
        # Nobody reads. What is buffered would fail again at the end, as the process's exit status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
