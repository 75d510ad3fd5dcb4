"""The intake of jobs: stores everything in the bucket that hosts need to run them."""

import itertools
import logging
import math
import queue
from collections.abc import Callable, Iterator
from pathlib import Path

from promptscale.storage.store import Store
from promptscale.tpu.environment import Environment
from promptscale.tpu.pending_job import PendingJob

log = logging.getLogger(__name__)

_BYTES_AT_ONCE = 2**28  # of inputs; bounds the memory, but for larger single files


class Intake:
    """Jobs whose inputs are being stored."""

    def __init__(
        self,
        store: Store,
        environment: Environment,
        heartbeat_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """`store` is the run's folder; it is first read when there is a job."""
        self._store = store
        self._environment = environment
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._new: queue.SimpleQueue[PendingJob] = queue.SimpleQueue()
        self._storing: list[PendingJob] = []
        self._blobs: set[str] | None = None  # hashes of stored inputs; None before the first job
        self._zones: set[str] = set()  # zones that the bucket has
        self._last_message = -math.inf

    def add(self, job: PendingJob) -> None:
        """Adds a job; safe to call from any thread."""
        self._new.put(job)

    def pending(self) -> list[PendingJob]:
        """All jobs that are not stored yet."""
        while not self._new.empty():
            self._storing.append(self._new.get())
        return self._storing

    def clear(self) -> None:
        """Removes all jobs."""
        self._storing.clear()

    def store_jobs(self) -> Iterator[PendingJob]:
        """Stores jobs for at most a heartbeat; yields each job that is stored completely.

        Storing a corpus can take hours. For this reason jobs with fewer missing bytes come first,
        and the rest is stored in later cycles.
        """
        jobs = self.pending()
        if not jobs:
            return
        if self._blobs is None:
            self._blobs = self._store_environment()
        end = self._clock() + self._heartbeat_seconds
        for job in sorted(jobs, key=self._missing_bytes):
            while batch := self._next_batch(job):
                if self._clock() > end:
                    self._report_rest(job)
                    return
                self._store.write_many({f"blobs/{d}": p.read_bytes() for d, p in batch.items()})
                self._blobs.update(batch)
            # A later controller, perhaps without jobs in these zones, looks for slices there.
            zones = {zone: zone.encode() for zone in job.slice_type.zones}
            new = {f"zones/{zone}": zones[zone] for zone in zones.keys() - self._zones}
            self._store.write_many({**new, f"jobs/{job.id}/job.json": job.remote.to_bytes()})
            self._zones.update(zones)
            self._storing.remove(job)
            yield job

    def _store_environment(self) -> set[str]:
        """Stores the environment's files that the bucket lacks; returns the stored blobs."""
        folder = f"environments/{self._environment.hash}/"
        files = {f"{folder}{name}": file for name, file in self._environment.files.items()}
        stored = self._store.keys(folder)
        self._store.write_many({key: file for key, file in files.items() if key not in stored})
        return {key.removeprefix("blobs/") for key in self._store.keys("blobs/")}

    def _missing(self, job: PendingJob) -> dict[str, Path]:
        """The inputs of a job that are not stored yet, by hash."""
        return {d: path for d, path in job.blobs.items() if d not in (self._blobs or ())}

    def _missing_bytes(self, job: PendingJob) -> int:
        return sum(path.stat().st_size for path in self._missing(job).values())

    def _next_batch(self, job: PendingJob) -> dict[str, Path]:
        """The first missing inputs, at least one, and otherwise up to 256 MiB."""
        missing = self._missing(job)
        sizes = itertools.accumulate(path.stat().st_size for path in missing.values())
        count = sum(1 for size in sizes if size <= _BYTES_AT_ONCE)
        return dict(itertools.islice(missing.items(), max(1, count)))

    def _report_rest(self, job: PendingJob) -> None:
        """Logs, once a minute, how many bytes of a job's inputs are still to be stored."""
        if self._clock() - self._last_message > 60:
            self._last_message = self._clock()
            gigabytes = self._missing_bytes(job) / 1e9
            log.warning("%s waits until %.1f GB of its inputs are stored", job.title, gigabytes)
