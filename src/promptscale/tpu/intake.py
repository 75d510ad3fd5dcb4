"""The intake of jobs: stores everything in the bucket that hosts need to run them."""

import itertools
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic

from promptscale.errors import TpuError
from promptscale.storage.store import Store
from promptscale.tpu.environment import Environment
from promptscale.tpu.pending_job import PendingJob
from promptscale.tpu.remote_job import sha256

log = logging.getLogger(__name__)

_BYTES_AT_ONCE = 2**28  # of inputs; bounds the memory, but for larger single files


class Intake:
    """Jobs whose inputs are being stored."""

    def __init__(self, store: Store, environment: Environment, seconds: float) -> None:
        """`store` is the run's folder, in which jobs are stored for `seconds` at a time."""
        self._store = store
        self._environment = environment
        self._seconds = seconds
        self.jobs: list[PendingJob] = []  # not stored yet; any thread may append a job
        self._blobs: set[str] | None = None  # hashes of stored inputs; None before the first job
        self._zones: set[str] = set()  # zones that the bucket has
        self._last_message = -math.inf

    def store_jobs(self) -> Iterator[PendingJob]:
        """Stores jobs for a limited time; yields each job that is stored, or that has failed.

        Storing a corpus can take hours. For this reason jobs with fewer missing bytes come first,
        and the rest is stored in later cycles. A job fails if an input has vanished or changed.
        """
        if self._blobs is None:
            self._blobs = self._store_environment()
        end = monotonic() + self._seconds
        for job in sorted(self.jobs, key=lambda job: sum(self._missing(job).values())):
            while batch := self._next_batch(job):
                if monotonic() > end:
                    self._report_rest(job)
                    return
                if (contents := _read(job, batch)) is None:
                    break
                self._store.write_many(contents)
                self._blobs.update(batch)
            if not job.ended:
                self._store_description(job)
            self.jobs.remove(job)
            yield job

    def forget(self, job: PendingJob) -> None:
        """Has the inputs of a job stored again before the job is tried again."""
        if self._blobs is not None:
            self._blobs.difference_update(job.blobs)

    def _store_description(self, job: PendingJob) -> None:
        # A later controller, perhaps without jobs in these zones, looks for slices there.
        zones = {zone: zone.encode() for zone in job.slice_type.zones}
        new = {f"zones/{zone}": zones[zone] for zone in zones.keys() - self._zones}
        content = job.remote.model_dump_json().encode()
        self._store.write_many({**new, f"jobs/{job.id}/job.json": content})
        self._zones.update(zones)

    def _store_environment(self) -> set[str]:
        """Stores the environment's files that the bucket lacks; returns the stored blobs.

        Raises:
          TpuError: the bucket cannot be written or listed. For TensorStore a bucket that may not be
            listed is empty; then slices of earlier controllers would be lost from sight.
        """
        folder = f"environments/{self._environment.hash}/"
        files = {f"{folder}{name}": file for name, file in self._environment.files.items()}
        stored = self._store.keys(folder)
        missing = {key: file for key, file in files.items() if key not in stored}
        self._store.write_many(missing)
        if missing and not missing.keys() <= self._store.keys(folder):
            raise TpuError(
                f"The folder {self._store.location} cannot be listed, although it can be written; "
                "give the account the right storage.objects.list (the role Storage Object Admin)."
            )
        return {key.removeprefix("blobs/") for key in self._store.keys("blobs/")}

    def _missing(self, job: PendingJob) -> dict[str, int]:
        """The sizes of a job's inputs that are not stored yet, by hash."""
        stored = self._blobs or ()
        return {d: _size(path) for d, path in job.blobs.items() if d not in stored}

    def _next_batch(self, job: PendingJob) -> dict[str, Path]:
        """The first missing inputs: a single file of any size, or files up to 256 MiB."""
        missing = self._missing(job)
        totals = itertools.accumulate(missing.values())
        count = sum(total <= _BYTES_AT_ONCE for total in totals)
        return {digest: job.blobs[digest] for digest in [*missing][: max(1, count)]}

    def _report_rest(self, job: PendingJob) -> None:
        """Logs, once a minute, how many bytes of a job's inputs are still to be stored."""
        if monotonic() - self._last_message > 60:
            self._last_message = monotonic()
            gigabytes = sum(self._missing(job).values()) / 1e9
            log.warning("%s waits until %.1f GB of its inputs are stored", job.title, gigabytes)


def _size(path: Path) -> int:
    """The size of a file; 0 if it cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(job: PendingJob, batch: Mapping[str, Path]) -> dict[str, bytes] | None:
    """Reads inputs, by key; None after a job's end, if an input has vanished or changed."""
    contents = {}
    for digest, path in batch.items():
        try:
            content = path.read_bytes()
        except OSError as error:
            job.end(f"The input {path} of {job.title} cannot be read: {error.strerror}.\n")
            return None
        if sha256(content) != digest:
            job.end(f"The input {path} of {job.title} has changed since the job was submitted.\n")
            return None
        contents[f"blobs/{digest}"] = content
    return contents
