"""A Snakemake logger (`--logger promptscale`): a line per event, with progress and time left.

The output is equal on a terminal and in a file. A dry run prints the number of jobs of each rule.
Snakemake's full output is in `.snakemake/log/`.
"""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_promptscale.home import provide_home
from snakemake_logger_plugin_promptscale.progress import Progress

# Snakemake imports its plugins before it does anything else, whichever logger is chosen. No other
# code of this project runs so early.
provide_home()

_LOG_LINES = 8  # of a failed job's log


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
        self._jobs: dict[int, tuple[str, str, list[str]]] = {}  # id: rule, title, log files

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the lines for an event; plain messages only if they are warnings or errors."""
        try:
            for line in self._lines(record, record.__dict__):
                print(line, file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)

    def _lines(self, record: logging.LogRecord, fields: dict[str, Any]) -> Iterator[str]:
        match fields.get("event"):
            case LogEvent.RUN_INFO if self.common_settings.dryrun:
                if not self._planned:  # Snakemake logs it before and after a dry run
                    self._planned = True
                    yield from (f"{rule:<32}{n:>7,}" for rule, n in fields["stats"].items())
            case LogEvent.RUN_INFO:
                self._progress.expect(fields["stats"])
            case LogEvent.JOB_INFO if not self.common_settings.dryrun:
                rule, title = fields["rule_name"], fields.get("rule_msg") or fields["rule_name"]
                logs = [str(path) for path in fields.get("log") or []]
                self._jobs[fields["jobid"]] = (rule, title, logs)
                self._progress.start(fields["jobid"], rule)
                yield f"{self._progress}  start  {title}"
            case LogEvent.JOB_FINISHED:
                job = fields["job_id"]
                seconds = self._progress.finish(job)
                yield f"{self._progress}  done   {self._jobs[job][1]} ({seconds:.0f} s)"
            case LogEvent.JOB_ERROR:
                yield from self._failure(fields["jobid"], fields.get("rule_msg"))
            case None if record.levelno >= logging.WARNING:
                yield record.getMessage()
            case LogEvent.ERROR:
                yield record.getMessage()

    def _failure(self, job: int, message: str | None) -> Iterator[str]:
        """An executor's message about a failed job, or else the end of the job's log."""
        rule, title, logs = self._jobs.get(job, ("?", "?", []))
        yield f"{self._progress}  FAILED {title} (rule {rule})"
        if message:
            yield from (f"  {line}" for line in message.splitlines())
            return
        for log in logs:
            yield f"  the end of {log}:"
            if Path(log).exists():
                lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
                yield from (f"    {line}" for line in lines[-_LOG_LINES:])
