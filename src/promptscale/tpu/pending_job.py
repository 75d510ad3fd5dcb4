"""A job on its way to a slice, and how it ended."""

import dataclasses
import enum
import functools
from pathlib import Path

from promptscale.tpu.cloud import SliceType
from promptscale.tpu.log_copy import LogCopy
from promptscale.tpu.protocol import Failure
from promptscale.tpu.remote_job import RemoteJob, sha256


class JobState(enum.Enum):
    """What a pending job waits for."""

    STORING = enum.auto()  # its inputs are being stored in the bucket
    QUEUED = enum.auto()  # the bucket may hold its outputs, from an attempt that was not followed
    WAITING = enum.auto()  # it needs a slice
    RUNNING = enum.auto()  # a slice works on it


@dataclasses.dataclass(eq=False)
class PendingJob:
    """A job that has not ended."""

    remote: RemoteJob
    slice_type: SliceType
    blobs: dict[str, Path]  # the files that it reads, by hash
    outputs: dict[str, Path]  # the final path of each output, by its path in the job
    log: LogCopy
    state: JobState = JobState.STORING
    interruptions: list[str] = dataclasses.field(default_factory=list)  # the reasons
    attempt: str | None = None  # while the job is RUNNING
    slice_name: str | None = None  # while the job is RUNNING
    # Each host's last heartbeat when all hosts were first observed to have ended the attempt.
    end_heartbeats: dict[int, tuple[str, int]] | None = None

    @functools.cached_property
    def id(self) -> str:
        """The id of the remote job."""
        return self.remote.id

    @property
    def title(self) -> str:
        """The rule and the wildcards' values, for messages."""
        return " ".join([self.remote.rule, *self.remote.wildcards.values()])

    @property
    def stem(self) -> str:
        """The first part of the name of a slice that is made for this job."""
        wildcards = repr(sorted(self.remote.wildcards.items())).encode()
        return f"{self.remote.rule}-{sha256(wildcards)[:8]}"

    def start(self, attempt: str, slice_name: str) -> None:
        """Sets the attempt that works on the job."""
        self.state, self.attempt, self.slice_name = JobState.RUNNING, attempt, slice_name
        self.end_heartbeats = None
        self.log.begin(attempt)

    def interrupt(self, reason: str) -> None:
        """Queues the job again."""
        self.state, self.attempt, self.slice_name = JobState.QUEUED, None, None
        self.interruptions.append(reason)


@dataclasses.dataclass(frozen=True)
class JobOutcome:
    """The end of a job; `error` is None if its outputs are in place."""

    job: PendingJob
    error: str | None = None


def failure_message(job: PendingJob, slice_name: str, failure: Failure) -> str:
    """The message for a script that failed, with the last lines of its log.

    If the script failed on another host than host 0, the end of that host's log is also appended to
    the rule's log, which is a copy of host 0's.
    """
    if failure.host != 0:
        job.log.append_note(f"the end of host {failure.host}'s log", failure.tail)
    lines = failure.tail.splitlines()[-12:]
    return "\n".join([
        f"{job.title} ended with status {failure.code} on host {failure.host} of {slice_name}:",
        *(f"  {line}" for line in lines),
        "",
    ])  # fmt: skip
