"""The JSON objects that controller and hosts exchange; `promptscale.tpu` lists their keys."""

from collections.abc import Mapping
from typing import Literal

from promptscale.config.values import Strict


class Mailbox(Strict):
    """The attempt that a slice is to work on, `<job id>/<unique name>`; None for none."""

    attempt: str | None = None


class Status(Strict):
    """What a host is doing; each heartbeat writes a new status.

    The state is `restarted` if an earlier worker process of the host was interrupted in an attempt.
    """

    incarnation: str  # a unique name of the host's worker process
    heartbeat: int  # the number of the heartbeat
    state: Literal["idle", "running", "ended", "restarted"] = "idle"
    attempt: str | None = None  # that the host works on, or that it ended last
    coordinator: str | None = None  # of host 0: where the attempt's processes connect


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
