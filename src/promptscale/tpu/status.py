"""What hosts and controller tell each other: the objects of a slice, typed."""

from typing import Literal

from promptscale.config.settings import Strict


class Mail(Strict):
    """What a slice is to work on: an attempt is `<task id>/<unique name>`; None: nothing."""

    attempt: str | None = None


class Status(Strict):
    """What a host does, written anew at every beat.

    `attempt` is the one that it works on or the last one that it ended. A host that finds, after a
    restart, that it had been working says `restarted`. `coordinator`: where the processes of an
    attempt meet, told by host 0.
    """

    incarnation: str
    beat: int
    state: Literal["idle", "running", "ended", "restarted"] = "idle"
    attempt: str | None = None
    coordinator: str | None = None


class Failure(Strict):
    """Why an attempt failed: the first host whose script ended in an error, and its last words."""

    host: int
    code: int
    tail: str


def host_key(index: int) -> str:
    """Where a host's status is, below its slice's folder."""
    return f"hosts/{index}"


def startup_key(index: int) -> str:
    """Where a host that could not be set up says why."""
    return f"startup/{index}"


def log_key(attempt: str, host: int, number: int) -> str:
    """Where a piece of a host's log is, below the run's folder."""
    return f"tasks/{attempt}/log/{host}/{number:06d}"


def parent(attempt: str) -> str:
    """The task of an attempt."""
    return attempt.partition("/")[0]
