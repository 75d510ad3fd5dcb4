"""The controller's loop: assigns jobs to slices, monitors them, and requeues interrupted jobs.

All persistent state is in the bucket and in the list of slices. A new controller can therefore
replace a killed one.
"""

import logging
import uuid
from collections.abc import Mapping
from time import monotonic

from promptscale.errors import StorageError, TpuError
from promptscale.storage.store import Store, open_parent
from promptscale.tpu.cloud import Cloud, Phase, SliceType
from promptscale.tpu.environment import STARTUP, Environment
from promptscale.tpu.intake import Intake
from promptscale.tpu.pending_job import PendingJob
from promptscale.tpu.pool import Limits, Pool, Slice
from promptscale.tpu.protocol import Completion, Failure, Mailbox, Status, job_id
from promptscale.tpu.remote_job import RemoteJob

log = logging.getLogger(__name__)

# Errors of the bucket that do not pass by themselves: no rights, no such bucket, no credentials.
_PERMANENT = ("PERMISSION_DENIED", "NOT_FOUND", "UNAUTHENTICATED")

Contents = Mapping[str, bytes | None]


class Dispatcher:
    """Runs jobs on slices: the caller adds jobs and calls `cycle` repeatedly."""

    def __init__(
        self, cloud: Cloud, store: Store, environment: Environment, run: str, limits: Limits
    ) -> None:
        """`store` is this run's folder; `run` is its name in labels and names of slices."""
        self._store = store
        self._environment = environment
        self._limits = limits
        self.pool = Pool(cloud, run, environment.hash, limits, self._metadata)
        self._intake = Intake(store, environment, limits.interval)
        self._failing_since: float | None = None  # the first of the last cycles, which all failed
        self._has_worked = False  # whether there was a slice
        self._earlier: set[str] = set()  # slices of earlier controllers, until they are looked for
        self._searched = False  # whether slices of earlier controllers have been looked for
        self._jobs: list[PendingJob] = []  # stored in the bucket; first in the list, first served
        self._added: list[PendingJob] = []  # all jobs
        self.interrupted: dict[str, list[str]] = {}  # reasons of interruptions, by a job's title

    def add(self, job: PendingJob) -> None:
        """Adds a job; safe to call from any thread."""
        self._added.append(job)
        self._intake.jobs.append(job)

    def cycle(self) -> None:
        """Polls bucket and cloud once and acts on the news; marks the jobs that have ended."""
        try:
            self._cycle()
        except TpuError as error:
            log.warning("%s", error)
            now = monotonic()
            self._failing_since = now if self._failing_since is None else self._failing_since
            if now - self._failing_since >= self._patience(error):
                self._give_up(error)
                self._failing_since = None
        else:
            self._failing_since = None
            self._has_worked |= bool(self.pool.slices)

    def _patience(self, error: TpuError) -> float:
        """The seconds in which cycles may fail with an error before the jobs end with it.

        During an outage slices continue to work, and hosts repeat their requests as long as
        `startup`. If there was no slice yet, the project or the bucket is wrong.
        """
        if not (self._has_worked or self.pool.slices):
            return 0.0
        words = f"{error} {error.__cause__}"  # TensorStore's error has the code
        permanent = any(code in words for code in _PERMANENT)
        return self._limits.heartbeat if permanent else self._limits.startup

    def _give_up(self, error: TpuError) -> None:
        """Ends all jobs; slices continue their attempts, which later jobs may adopt."""
        for slice_ in self.pool.slices.values():
            slice_.claimed, slice_.since = slice_.attempt is None, monotonic()
        for job in (*self._jobs, *self._intake.jobs):
            self._end(job, f"{error}\n")

    def _cycle(self) -> None:
        self._receive()
        for slice_ in self.pool.refresh():
            content = self._store.read(f"slices/{slice_.name}/mailbox.json")
            slice_.attempt = Mailbox.model_validate_json(content).attempt if content else None
        self._stop_unlisted()
        contents = self._poll()
        running = {job.attempt: job for job in self._jobs if job.attempt}
        for slice_ in list(self.pool.slices.values()):
            self._record_hosts(slice_, contents)
            if job := running.get(slice_.attempt or ""):
                self._monitor(slice_, job, contents)
            else:
                self._monitor_unused(slice_, contents)
        for slice_ in self.pool.unused():
            self._drop(slice_)
        for key in dict.fromkeys(job.slice_type.key for job in self._jobs):
            self._assign(key)
        for job in self._added:
            if job.finished and not job.deleted:
                self._delete_job(job.id)
                job.deleted = True

    def close(self) -> None:
        """Deletes all slices of this run, and what finished jobs left in the bucket.

        Raises:
          TpuError: some slices remain.
        """
        try:
            self.pool.zones |= self._earlier_zones()
        except TpuError as error:  # the slices in the known zones have to be deleted all the same
            log.warning("%s", error)
        remaining = self.pool.close()
        # A host may have written after its job was deleted; all hosts have stopped now. If no job
        # is unfinished, the other jobs in the bucket are finished jobs of a killed controller.
        jobs = {key.split("/")[1] for key in self._store.keys("jobs/")}
        finished = {job.id for job in self._added if job.finished}
        for identity in jobs if finished == {job.id for job in self._added} else jobs & finished:
            self._delete_job(identity)
        self._store.delete_prefix("slices/")
        if remaining:
            raise TpuError(
                f"These slices could not be deleted and cost money: {', '.join(remaining)}. "
                "Delete them with `promptscale tpu reap`."
            )
        self._store.delete_prefix("zones/")

    def _delete_job(self, identity: str) -> None:
        """Deletes a job from the bucket, and its saved state if the job is done."""
        content = self._store.read(f"jobs/{identity}/job.json")
        if content and self._store.read(f"jobs/{identity}/done.json"):
            state = str(RemoteJob.model_validate_json(content).resources.get("state", ""))
            if state.startswith("gs://"):
                store, name = open_parent(state, TpuError)
                store.delete_prefix(f"{name}.")
        self._store.delete_prefix(f"jobs/{identity}/")

    def _receive(self) -> None:
        """Queues new jobs whose inputs are stored; before the first job nothing is requested."""
        if not self._intake.jobs:
            return
        if not self._searched:
            self.pool.zones |= self._earlier_zones()
            self._earlier = {key.split("/")[1] for key in self._store.keys("slices/")}
            self.pool.used_names = set(self._earlier)
            self._searched = True
        for job in self._intake.store_jobs():
            if job.ended:
                continue
            self.pool.register(job.slice_type)
            self._jobs.append(job)

    def _stop_unlisted(self) -> None:
        """Stops the attempts of an earlier controller's slices that the zones do not list now.

        The attempts could not be adopted, and their jobs will start on other slices.
        """
        names = {f"slices/{name}/mailbox.json": name for name in self._earlier}
        for key, content in self._store.read_many(names).items():
            if content and names[key] not in self.pool.slices:
                self._write_mailbox(names[key], None)
        self._earlier = set()

    def _earlier_zones(self) -> set[str]:
        """The zones of earlier controllers of this run, which may have left slices there."""
        return {key.removeprefix("zones/") for key in self._store.keys("zones/")}

    def _poll(self) -> Contents:
        """Reads, concurrently, all objects that hosts may have changed."""
        keys: list[str] = []
        for slice_ in self.pool.slices.values():
            if slice_.phase is Phase.ACTIVE:
                for kind in ("hosts",) if slice_.ready else ("hosts", "startup"):
                    keys += [f"slices/{slice_.name}/{kind}/{i}" for i in range(slice_.type.hosts)]
            if slice_.attempt:
                keys.append(f"jobs/{job_id(slice_.attempt)}/done.json")
                keys.append(f"jobs/{slice_.attempt}/failed.json")
        keys += [key for job in self._jobs if job.attempt for key in job.log.next_keys()]
        contents = self._store.read_many(keys)
        self.pool.mark_polled()
        return contents

    def _record_hosts(self, slice_: Slice, contents: Contents) -> None:
        """Records the statuses of a slice's hosts, and failures of their set-up."""
        for host in range(slice_.type.hosts):
            if content := contents.get(f"slices/{slice_.name}/hosts/{host}"):
                self.pool.record_status(slice_, host, Status.model_validate_json(content))
            if content := contents.get(f"slices/{slice_.name}/startup/{host}"):
                slice_.phase, slice_.state = Phase.LOST, "its set-up failed"
                slice_.message = content.decode(errors="replace").strip().rpartition("\n")[2]

    def _monitor(self, slice_: Slice, job: PendingJob, contents: Contents) -> None:
        """Acts if a running job has ended or its slice is lost."""
        ended = self._has_certainly_ended(slice_, job)
        done = contents.get(f"jobs/{job.id}/done.json")
        failed = contents.get(f"jobs/{job.attempt}/failed.json")
        if done or failed:
            job.log.append_rest(self._store)
        else:
            job.log.append(contents)
        if done:
            self._complete(job, Completion.model_validate_json(done))
            self._set_attempt(slice_)
        elif reason := self.pool.failure_reason(slice_):
            self._drop(slice_, reason)
            self._interrupt(job, f"{slice_.name}: {reason}")
        elif ended and failed:
            self._set_attempt(slice_)
            failure = Failure.model_validate_json(failed)
            self._end(job, job.failure_message(slice_.name, failure))
        elif ended:
            self._drop(slice_)
            self._interrupt(job, f"{slice_.name}: it ended without a result")

    def _monitor_unused(self, slice_: Slice, contents: Contents) -> None:
        """Acts if a slice without a job of this controller is lost or has ended its attempt."""
        if slice_.attempt:
            done = contents.get(f"jobs/{job_id(slice_.attempt)}/done.json")
            if done or slice_.has_ended(slice_.attempt):
                self._set_attempt(slice_)
        reason = self.pool.failure_reason(slice_)
        if reason is None:
            return
        self._drop(slice_, reason)
        queue = self._queue(slice_.type.key)
        if queue and not slice_.statuses and slice_.was_active:
            # A slice whose hosts never started counts for the job that waits for it. Otherwise
            # slices that cannot start would be requested forever.
            self._interrupt(queue[0], f"{slice_.name}: {reason}")

    def _has_certainly_ended(self, slice_: Slice, job: PendingJob) -> bool:
        """Whether all hosts have ended a job's attempt and have sent a further heartbeat.

        A host that is being preempted can fail, or make other hosts fail, before the cloud reports
        the preemption. Such an end is not the end of the job.
        """
        if not slice_.has_ended(job.attempt):
            return False
        job.end_statuses = job.end_statuses or dict(slice_.statuses)
        return all(slice_.statuses[host] != status for host, status in job.end_statuses.items())

    def _interrupt(self, job: PendingJob, reason: str) -> None:
        """Puts a job at the head of the queue, unless it was interrupted too often."""
        job.interrupt(reason)
        self.interrupted[job.title] = job.interruptions
        number = len(job.interruptions)
        log.warning("%s was interrupted (%d so far): %s", job.title, number, reason)
        if number > self._limits.interruptions:
            reasons = "".join(f"  {reason}\n" for reason in job.interruptions[-5:])
            self._end(job, f"{job.title} was interrupted {number} times:\n{reasons}")
            return
        job.log.append_note(f"interrupted ({number}): {reason}")
        self._jobs.remove(job)
        self._jobs.insert(0, job)

    def _drop(self, slice_: Slice, reason: str = "") -> None:
        """Deletes a slice; its hosts, if they live, stop its attempt before another one starts."""
        if slice_.attempt:
            self._write_mailbox(slice_.name, None)
        self.pool.drop(slice_, reason)

    def _write_mailbox(self, name: str, attempt: str | None) -> None:
        content = Mailbox(attempt=attempt).model_dump_json().encode()
        self._store.write(f"slices/{name}/mailbox.json", content)

    def _set_attempt(self, slice_: Slice, attempt: str | None = None) -> None:
        """Records the attempt that a slice works on; with None it is free for another job."""
        slice_.attempt, slice_.claimed, slice_.since = attempt, True, monotonic()

    def _queue(self, key: str) -> list[PendingJob]:
        """The jobs that need a slice of a type, in order."""
        return [job for job in self._jobs if job.attempt is None and job.slice_type.key == key]

    def _assign(self, key: str) -> None:
        """Adopts running attempts, completes jobs that are done, and starts jobs on idle slices."""
        attempts = {job_id(s.attempt): s for s in self.pool.slices.values() if s.attempt}
        for job in self._queue(key):
            slice_ = attempts.get(job.id)
            if slice_ and slice_.attempt and not slice_.claimed:
                self._set_attempt(slice_, slice_.attempt)
                job.start(slice_.attempt)
        idle = [s for s in self.pool.slices.values() if s.type.key == key and s.idle]
        # A job that starts now is looked for again: a host may have finished it late.
        queue = self._queue(key)
        unknown = [job for i, job in enumerate(queue) if i < len(idle) or not job.searched]
        contents = self._store.read_many(f"jobs/{job.id}/done.json" for job in unknown)
        for job in unknown:
            if content := contents[f"jobs/{job.id}/done.json"]:
                completion = Completion.model_validate_json(content)
                job.log.begin(completion.attempt)
                job.log.append_rest(self._store)
                self._complete(job, completion)
            job.searched = True
        waiting = self._queue(key)
        while waiting and idle and waiting[0] in unknown:
            job, slice_ = waiting.pop(0), idle.pop()
            attempt = f"{job.id}/{uuid.uuid4().hex[:12]}"
            self._write_mailbox(slice_.name, attempt)
            self._set_attempt(slice_, attempt)
            job.start(attempt)
        if waiting:
            try:
                self.pool.request_slices(key, [job.stem for job in waiting])
            except TpuError as error:  # all zones refuse
                for job in waiting:
                    self._end(job, f"{error}\n")

    def _complete(self, job: PendingJob, completion: Completion) -> None:
        """Downloads a job's outputs and ends it; damaged outputs are deleted and are an error."""
        error = None
        try:
            if damaged := job.download(self._store, completion):
                self._store.delete_prefix(f"jobs/{job.id}/")
                names = ", ".join(damaged)
                error = f"Outputs of {job.title} were damaged in the bucket: {names}.\n"
        except (StorageError, OSError) as cause:  # on this machine; the bucket still has them
            error = f"Outputs of {job.title} cannot be written here: {cause}\n"
        self._end(job, error)

    def _end(self, job: PendingJob, error: str | None) -> None:
        """Ends a job; after an error its inputs are looked for in the bucket again."""
        if error is not None:
            self._intake.forget(job)
        for jobs in (self._jobs, self._intake.jobs):
            if job in jobs:
                jobs.remove(job)
        job.end(error)

    def _metadata(self, name: str, slice_type: SliceType) -> dict[str, str]:
        """The metadata of a slice, which its hosts read; it contains no credentials."""
        return {
            "startup-script": STARTUP,
            "promptscale-environment": self._environment.hash,
            "promptscale-root": self._store.location,
            "promptscale-slice": f"{self._store.location}/slices/{name}",
            "promptscale-hosts": str(slice_type.hosts),
            "promptscale-heartbeat": str(self._limits.interval),
        }
