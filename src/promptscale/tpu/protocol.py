"""The JSON objects that controller and hosts exchange; `promptscale.tpu` lists their keys."""

from collections.abc import Mapping
from typing import Literal

from promptscale.config.schema import Strict


class Mailbox(Strict):
    """The attempt that a slice is to work on, `<job id>/<unique name>`; None for none."""

    attempt: str | None = None


class Status(Strict):
    """What a host is doing, written with every heartbeat.

    Attributes:
      incarnation: a unique name of the host's worker process.
      heartbeat: the number of the heartbeat.
      state: `restarted` if an earlier worker process of this host was interrupted in an attempt.
      attempt: the attempt that the host works on, or the last one that it ended.
      coordinator: the address at which the attempt's processes connect; only host 0 sets it.
    """

    incarnation: str
    heartbeat: int
    state: Literal["idle", "running", "ended", "restarted"] = "idle"
    attempt: str | None = None
    coordinator: str | None = None


class Failure(Strict):
    """Why an attempt failed: the first host with an error, its exit code and its log's end."""

    host: int
    code: int
    tail: str


class Completion(Strict):
    """The outputs of a job that is done: hashes by path, and which outputs are folders."""

    attempt: str
    files: Mapping[str, str]
    folders: tuple[str, ...]


def job_id(attempt: str) -> str:
    """The id of the job that an attempt is of."""
    return attempt.partition("/")[0]


def log_key(attempt: str, host: int, number: int) -> str:
    """The key of a piece of a host's log."""
    return f"jobs/{attempt}/log/{host}/{number:06d}"
