"""A job on its way to a slice, until its outputs are on this machine or it has failed."""

import dataclasses
import functools
from pathlib import Path

from promptscale.storage.atomic import atomic_directory
from promptscale.storage.store import Store
from promptscale.tpu.cloud import SliceType
from promptscale.tpu.log_copy import LogCopy
from promptscale.tpu.protocol import Completion, Failure, Status
from promptscale.tpu.remote_job import RemoteJob, sha256


@dataclasses.dataclass(eq=False)
class PendingJob:
    """A job, the attempt that works on it, and how it ended."""

    remote: RemoteJob
    slice_type: SliceType
    blobs: dict[str, Path]  # the files that it reads, by hash
    outputs: dict[str, Path]  # the final path of each output, by its path in the job
    log: LogCopy
    attempt: str | None = None  # None while no slice works on the job
    searched: bool = False  # whether the bucket has no outputs of an earlier attempt
    interruptions: list[str] = dataclasses.field(default_factory=list)  # the reasons
    # The hosts' statuses when all hosts were first observed to have ended the attempt.
    end_statuses: dict[int, Status] | None = None
    ended: bool = False
    error: str | None = None  # of a job that has ended; None if its outputs are in place
    finished: bool = False  # Snakemake has checked the outputs
    deleted: bool = False  # from the bucket, with the job's state

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

    def start(self, attempt: str) -> None:
        """Sets the attempt that works on the job."""
        self.attempt, self.end_statuses = attempt, None
        self.log.begin(attempt)

    def interrupt(self, reason: str) -> None:
        """Records that the attempt was lost; the bucket may have its outputs nevertheless."""
        self.attempt, self.searched = None, False
        self.interruptions.append(reason)

    def end(self, error: str | None = None) -> None:
        """Records that the job has ended, with the message of an error."""
        self.error, self.ended = error, True

    def download(self, store: Store, completion: Completion) -> list[str]:
        """Writes the outputs to their final paths, each completely or not at all.

        Returns the outputs whose hashes differ from those that the host computed; if there are any,
        nothing is written.
        """
        keys = {path: f"jobs/{completion.attempt}/outputs/{path}" for path in completion.files}
        contents = store.read_many(keys.values())
        files = {path: contents[key] or b"" for path, key in keys.items()}
        damaged = [path for path in files if sha256(files[path]) != completion.files[path]]
        if damaged:
            return damaged
        for path, final in self.outputs.items():
            if path not in completion.folders:
                Store(final.parent).write(final.name, files[path])
                continue
            paths = [file for file in files if file.startswith(f"{path}/")]
            with atomic_directory(final) as folder:
                Store(folder).write_many({p.removeprefix(f"{path}/"): files[p] for p in paths})
        return []

    def failure_message(self, slice_name: str, failure: Failure) -> str:
        """The message for a script that failed, with the last lines of its log.

        The rule's log is a copy of host 0's. If the script failed on another host, the end of that
        host's log is appended; if the host could not start the script, the reason.
        """
        host, lines = failure.host, failure.tail.splitlines()[-12:]
        if not self.log.ends_with(failure.tail):
            self.log.append_note(f"the end of host {host}'s log", failure.tail)
        where = f"on host {host} of {slice_name}"
        heading = f"{self.title} ended with status {failure.code} {where}:\n"
        return heading + "".join(f"  {line}\n" for line in lines)
