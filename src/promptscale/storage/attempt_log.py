"""A log file that survives the next attempt, although Snakemake deletes a job's log before it.

The text is in `<log>.attempts`, and the log is a link to it. Snakemake deletes the link only. When
the job succeeds the file takes the place of the link. A log therefore has all attempts since the
job's last success.
"""

import contextlib
import datetime
import os
import platform
import re
from pathlib import Path

from promptscale.storage.atomic import atomic_write

_LARGEST = 2**20  # bytes of earlier attempts; of more, the last half of this is left
_ATTEMPT = re.compile(rb"^--- attempt (\d+), ", re.MULTILINE)


def open_log(log: Path) -> int:
    """Opens a job's log at its end, below a line about this attempt; returns the descriptor.

    A log that exists already is the one that a host of a TPU slice reads; it is continued.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    attempts = _attempts(log)
    earlier = attempts.read_bytes() if attempts.exists() else b""
    if len(earlier) > _LARGEST:
        with atomic_write(attempts) as partial:
            partial.write_bytes(b"(The beginning is left out.)\n" + earlier[-_LARGEST // 2 :])
    if not log.exists():
        with contextlib.suppress(FileExistsError):
            log.symlink_to(attempts.name)
    opened = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    number = max(map(int, _ATTEMPT.findall(earlier)), default=0) + 1
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    where = f"process {os.getpid()} on {platform.node()}"
    os.write(opened, f"--- attempt {number}, {now}, {where} ---\n".encode())
    return opened


def close_log(log: Path) -> None:
    """Ends the log of a job that succeeded: the next run begins a new log."""
    with contextlib.suppress(FileNotFoundError):
        _attempts(log).replace(log)


def _attempts(log: Path) -> Path:
    return log.with_name(f"{log.name}.attempts")
