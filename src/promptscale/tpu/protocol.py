"""The objects that controller and hosts exchange through the bucket, and their keys."""

from collections.abc import Mapping
from typing import Literal

from promptscale.config.schema import Strict

MAILBOX = "mailbox.json"  # below a slice's folder


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


def job_key(identity: str) -> str:
    """The key of a `RemoteJob`."""
    return f"jobs/{identity}/job.json"


def done_key(identity: str) -> str:
    """The key of a job's `Completion`."""
    return f"jobs/{identity}/done.json"


def failed_key(attempt: str) -> str:
    """The key of an attempt's `Failure`."""
    return f"jobs/{attempt}/failed.json"


def output_key(attempt: str, path: str) -> str:
    """The key of an output file."""
    return f"jobs/{attempt}/outputs/{path}"


def log_key(attempt: str, host: int, number: int) -> str:
    """The key of a piece of a host's log."""
    return f"jobs/{attempt}/log/{host}/{number:06d}"


def slice_key(name: str, key: str) -> str:
    """The key of an object in a slice's folder."""
    return f"slices/{name}/{key}"


def host_key(index: int) -> str:
    """The key of a host's `Status`, below its slice's folder."""
    return f"hosts/{index}"


def startup_key(index: int) -> str:
    """The key of the log of a host that could not be set up, below its slice's folder."""
    return f"startup/{index}"
