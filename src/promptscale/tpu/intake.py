"""The intake of jobs: stores everything in the bucket that hosts need to run them."""

import logging
import math
import queue
from collections.abc import Callable, Iterator

from promptscale.storage.store import Store
from promptscale.tpu.blobs import Blobs
from promptscale.tpu.environment import Environment
from promptscale.tpu.pending_job import PendingJob
from promptscale.tpu.protocol import job_key

log = logging.getLogger(__name__)


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
        self._blobs: Blobs | None = None
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
        blobs = self._blobs = self._blobs or self._store_environment()
        end = self._clock() + self._heartbeat_seconds
        for job in sorted(jobs, key=lambda job: blobs.missing_bytes(job.blobs)):
            while blobs.missing(job.blobs):
                if self._clock() > end:
                    self._report_rest(job, blobs.missing_bytes(job.blobs))
                    return
                blobs.store_batch(job.blobs)
            # A later controller, perhaps without jobs in these zones, looks for slices there.
            zones = {zone: zone.encode() for zone in job.slice_type.zones}
            new = {f"zones/{zone}": zones[zone] for zone in zones.keys() - self._zones}
            self._store.write_many({**new, job_key(job.id): job.remote.to_bytes()})
            self._zones.update(zones)
            self._storing.remove(job)
            yield job

    def _store_environment(self) -> Blobs:
        """Stores the files of the environment that the bucket lacks."""
        folder = f"environments/{self._environment.hash}/"
        files = {f"{folder}{name}": file for name, file in self._environment.files.items()}
        stored = self._store.keys(folder)
        self._store.write_many({key: file for key, file in files.items() if key not in stored})
        return Blobs(self._store)

    def _report_rest(self, job: PendingJob, size: int) -> None:
        """Logs, once a minute, how many bytes of a job's inputs are still to be stored."""
        if self._clock() - self._last_message > 60:
            self._last_message = self._clock()
            gigabytes = size / 1e9
            log.warning("%s waits until %.1f GB of its inputs are stored", job.title, gigabytes)
