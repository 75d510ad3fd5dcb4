"""A cloud, a bucket and hosts in memory, with a clock that tests set: no threads and no sleeping.

A host does what `promptscale.tpu.worker` does, in one step per heartbeat.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from unittest import mock

from promptscale.errors import TpuError
from promptscale.storage.store import Store
from promptscale.tpu.cloud import Cloud, ListedSlice, Phase, SliceType, Unavailable
from promptscale.tpu.dispatcher import Dispatcher
from promptscale.tpu.environment import Environment
from promptscale.tpu.log_copy import LogCopy
from promptscale.tpu.pending_job import PendingJob
from promptscale.tpu.pool import RUN, Limits
from promptscale.tpu.protocol import Completion, Failure, Mailbox, Status, job_id
from promptscale.tpu.remote_job import Items, RemoteJob, sha256

LIMITS = Limits(
    idle=60.0, startup=50.0, heartbeat=20.0, queue=60.0, interval=2.0, chips=24.0, interruptions=40
)
SMALL = SliceType("v2-8", "base", hosts=1, chips=4, tier="spot", zones=("a", "b"))
LARGE = SliceType("v3-32", "base", hosts=2, chips=16, tier="spot", zones=("b", "c"))
ZONES = ("a", "b", "c")
FATES = ("stuck", "fail", "no hosts")  # of new slices that do not start
REFUSALS = {
    "quota": Unavailable("429: Quota exceeded, limit 0."),
    "type": TpuError("400: unknown accelerator type."),
    "permission": TpuError("403: permission denied."),
    "zone": TpuError("404: no such zone."),
    "conflict": TpuError("409: the operation was aborted."),
    "outage": Unavailable("503: try again."),
}


class MemoryBucket(Store):
    """The objects of a run's folder; an error in `closed` makes every request fail."""

    def __init__(self, check: Callable[[str, bytes], None]) -> None:
        self.location = "gs://bucket/run"
        self.objects: dict[str, bytes] = {}
        self.closed: dict[str, str] = {}
        self._check = check  # is called with the key and the content of each write

    def _request(self) -> None:
        if self.closed:
            raise TpuError(self.closed["bucket"])

    def read_many(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        self._request()
        return {key: self.objects.get(key) for key in keys}

    def write_many(self, contents: Mapping[str, bytes]) -> None:
        self._request()
        for key, content in contents.items():
            self._check(key, content)
            self.objects[key] = content

    def write_if_absent(self, key: str, content: bytes) -> None:
        self._request()
        self.objects.setdefault(key, content)

    def keys(self, prefix: str = "") -> set[str]:
        self._request()
        return {key for key in self.objects if key.startswith(prefix)}

    def delete_prefix(self, prefix: str) -> None:
        for key in self.keys(prefix):
            del self.objects[key]


@dataclasses.dataclass
class SimulatedSlice(ListedSlice):
    """A slice of the cloud, and its hosts once it is active."""

    hosts: list["Host"] = dataclasses.field(default_factory=list)
    visible_at: float = 0.0  # lists and deletions do not see the slice before
    count: int = 1  # of its hosts


@dataclasses.dataclass
class Host:
    """A worker: a heartbeat, a look into the mailbox and some work in each step."""

    bucket: MemoryBucket
    slice_name: str
    index: int
    script: Callable[[str], int | None]  # for a job: seconds of work, or None for a failure
    alive: bool = True
    parted: dict[str, bool] = dataclasses.field(default_factory=dict)  # from the network
    status: Status = dataclasses.field(
        default_factory=lambda: Status(incarnation="first", heartbeat=0)
    )
    steps_left: int = 0

    def restart(self) -> None:
        """Starts again, as after a reboot of the machine."""
        interrupted = self.status.state in ("running", "restarted")
        self.alive = True
        state = "restarted" if interrupted else "idle"
        self.status = self.status.model_copy(update={"incarnation": "second", "state": state})

    def step(self) -> None:
        if not self.alive or self.parted or self.bucket.closed:
            return
        folder = f"slices/{self.slice_name}"
        mail = self.bucket.read(f"{folder}/mailbox.json")
        attempt = Mailbox.model_validate_json(mail).attempt if mail else None
        state, current = self.status.state, self.status.attempt
        if state == "running":
            state = self._work(attempt, current or "")
        elif attempt and attempt != current:
            state, current = "running", attempt
            self.steps_left = self.script(job_id(attempt)) or 1
        update = {"heartbeat": self.status.heartbeat + 1, "state": state, "attempt": current}
        self.status = self.status.model_copy(update=update)
        self.bucket.write(f"{folder}/hosts/{self.index}", self.status.model_dump_json().encode())

    def _work(self, assigned: str | None, attempt: str) -> str:
        """The state after a step of an attempt."""
        job = f"jobs/{job_id(attempt)}"
        failed = f"jobs/{attempt}/failed.json"
        if self.steps_left > 0:  # nothing stops an upload that has begun
            stopped = assigned != attempt or self.bucket.read(failed) is not None
            unknown = self.bucket.read(f"{job}/job.json") is None
            if stopped or unknown or self.bucket.read(f"{job}/done.json") is not None:
                return "ended"
            self.steps_left -= 1
            return "running"
        if self.script(job_id(attempt)) is None:
            failure = Failure(host=self.index, code=1, tail="cannot")
            self.bucket.write_if_absent(failed, failure.model_dump_json().encode())
        elif self.index == 0:
            result = f"result of {job_id(attempt)}".encode()
            self.bucket.write(f"jobs/{attempt}/outputs/out", result)
            done = Completion(attempt=attempt, files={"out": sha256(result)}, folders=())
            self.bucket.write(f"{job}/done.json", done.model_dump_json().encode())
        return "ended"


class SimulatedCloud(Cloud):
    """Slices by name and zone.

    Attributes:
      refusals: the errors of requests, by zone.
      silent: zones that do not answer.
      unlisted: zones that refuse to list slices.
      fates: what becomes of new slices that do not start, by zone.
      failing: `answers`: requests succeed, but their answer is an error; `deletions` fail.
      delay: seconds until a new slice is in lists.
    """

    def __init__(self, now: list[float], bucket: MemoryBucket, script) -> None:
        self.slices: dict[tuple[str, str], SimulatedSlice] = {}
        self.refusals: dict[str, TpuError] = {}
        self.silent: dict[str, bool] = {}
        self.unlisted: dict[str, bool] = {}
        self.fates: dict[str, str] = {}
        self.failing: dict[str, bool] = {}
        self.delay = 0.0
        self.refused: set[str] = set()  # zones that ever refused, or did not start a slice
        self._now, self._bucket, self._script = now, bucket, script

    def list(self, zone: str) -> list[ListedSlice]:
        if zone in self.silent:
            raise Unavailable(f"No answer from {zone}.")
        if zone in self.unlisted:
            self.refused.add(zone)
            raise TpuError(f"403: slices in {zone} may not be listed.")
        fields = [field.name for field in dataclasses.fields(ListedSlice)]
        return [
            ListedSlice(**{name: getattr(slice_, name) for name in fields})
            for slice_ in self.slices.values()
            if slice_.zone == zone and slice_.visible_at <= self._now[0]
        ]

    def create(self, name, zone, slice_type, labels, metadata) -> None:
        if zone in {**self.silent, **self.refusals, **self.fates} or self.failing or self.delay:
            self.refused.add(zone)
        if zone in self.silent:
            raise Unavailable(f"No answer from {zone}.")
        if zone in self.refusals:
            raise self.refusals[zone]
        if (name, zone) not in self.slices:
            self.slices[name, zone] = SimulatedSlice(
                name=name, zone=zone, accelerator=slice_type.accelerator, labels=labels,
                visible_at=self._now[0] + self.delay, count=slice_type.hosts,
            )  # fmt: skip
        if "answers" in self.failing:
            raise Unavailable("503: the answer was lost.")

    def delete(self, name: str, zone: str) -> None:
        if "deletions" in self.failing:
            raise Unavailable("503: try again.")
        slice_ = self.slices.get((name, zone))
        if slice_ and slice_.visible_at <= self._now[0]:
            slice_.phase, slice_.state, slice_.hosts = Phase.DELETING, "DELETING", []

    def step(self) -> None:
        """Deletes slices that are being deleted; new slices become what their zone's fate is."""
        for key, slice_ in list(self.slices.items()):
            fate = self.fates.get(slice_.zone, "active")
            if slice_.phase is Phase.DELETING:
                del self.slices[key]
            elif slice_.phase is Phase.PENDING and fate == "fail":
                slice_.phase, slice_.state, slice_.message = Phase.LOST, "FAILED", "no capacity"
            elif slice_.phase is Phase.PENDING and fate in ("active", "no hosts"):
                slice_.phase, slice_.state = Phase.ACTIVE, "ACTIVE"
                slice_.hosts = [
                    Host(self._bucket, slice_.name, index, self._script, alive=fate == "active")
                    for index in range(slice_.count)
                ]
        for slice_ in self.slices.values():
            for host in slice_.hosts:
                host.step()

    def lose(self, slice_: SimulatedSlice, how: str) -> None:
        """Preempts a slice: SUSPENDED, FAILED or GONE."""
        slice_.hosts = []
        if how == "GONE":
            del self.slices[slice_.name, slice_.zone]
        else:
            slice_.phase, slice_.state = Phase.LOST, how


class World:
    """A controller with its cloud, its bucket and its jobs.

    Attributes:
      seconds: the time that jobs work, by name; None makes the next attempt's script fail.
      jobs: the jobs that Snakemake has submitted and not yet seen end, by id.
      results: the errors with which jobs have ended, None for success, by id.
    """

    def __init__(self, folder: Path) -> None:
        self.now = [0.0]
        self.folder = folder
        self.failing: set[str] = set()
        self.bucket = MemoryBucket(self._check)
        self.faults: list[tuple[float, dict, str]] = []  # the end, and what ends
        self.cloud = SimulatedCloud(self.now, self.bucket, self._script)
        self.jobs: dict[str, PendingJob] = {}
        self.results: dict[str, str | None] = {}
        self.succeeded: list[str] = []
        self._patches = [
            mock.patch(f"promptscale.tpu.{module}.monotonic", lambda: self.now[0])
            for module in ("intake", "pool", "dispatcher", "zones")
        ]
        self._patches.append(mock.patch("promptscale.tpu.pool.sleep", self._sleep))
        for patch in self._patches:
            patch.start()
        self.start_controller()

    def stop(self) -> None:
        for patch in self._patches:
            patch.stop()

    def start_controller(self) -> None:
        """Replaces the controller by a new process, whose Snakemake submits unfinished jobs."""
        self.dispatcher = Dispatcher(self.cloud, self.bucket, Environment("e", {}), "run", LIMITS)
        unfinished, self.jobs = self.jobs, {}
        for job in unfinished.values():
            self.submit(job.remote.rule, job.slice_type)

    def submit(self, name: str, slice_type: SliceType) -> PendingJob:
        empty = Items()
        remote = RemoteJob(
            rule=name, script="s.py", source="", input=empty, output=Items(values=("out",)),
            params=empty, log=empty, wildcards={}, threads=1, resources={}, config={}, files={},
        )  # fmt: skip
        job = PendingJob(
            remote, slice_type, {}, {"out": self.folder / name}, LogCopy(Path(os.devnull))
        )
        self.jobs[job.id] = job
        self.results.pop(job.id, None)
        self.dispatcher.add(job)
        return job

    def tick(self) -> None:
        """Lets a heartbeat's time pass for the cloud, the hosts and the controller."""
        self.now[0] += LIMITS.interval
        self._end_faults(self.now[0])
        self.cloud.step()
        self.dispatcher.cycle()
        for identity, job in list(self.jobs.items()):
            assert len(self.busy(identity)) <= 1
            if job.ended:
                self.results[identity] = job.error
                if job.error and job.error.startswith("No zone gives"):
                    assert self.cloud.refused >= {*job.slice_type.zones}
                if job.error is None:
                    result = self.folder / job.remote.rule
                    assert result.read_text() == f"result of {identity}"
                    job.finished = True
                del self.jobs[identity]

    def begin(self, faults: dict, key: str, value: object, ticks: int) -> None:
        """Begins a fault that lasts for a number of ticks."""
        faults[key] = value
        self.faults.append((self.now[0] + ticks * LIMITS.interval, faults, key))

    def heal(self) -> None:
        """Ends all faults."""
        self._end_faults(float("inf"))
        self.cloud.delay = 0.0
        self.failing.clear()

    def _end_faults(self, now: float) -> None:
        for end, faults, key in self.faults:
            if end <= now:
                faults.pop(key, None)
        self.faults = [fault for fault in self.faults if fault[0] > now]

    def left(self) -> list[str]:
        """The slices of the run that exist and are not being deleted."""
        return [
            slice_.name
            for slice_ in self.cloud.slices.values()
            if slice_.labels.get(RUN) == "run" and slice_.phase is not Phase.DELETING
        ]

    def busy(self, job: str) -> list[str]:
        """The names of live slices that work on an attempt of a job, or are assigned one."""
        names = []
        for slice_ in self.cloud.slices.values():
            mail = self.bucket.objects.get(f"slices/{slice_.name}/mailbox.json")
            attempt = Mailbox.model_validate_json(mail).attempt if mail else None
            if not attempt or job_id(attempt) != job or not any(h.alive for h in slice_.hosts):
                continue
            if not all(
                host.status.attempt == attempt and host.status.state != "running"
                for host in slice_.hosts
            ):
                names.append(slice_.name)
        return names

    def _script(self, job: str) -> int | None:
        return None if job in self.failing else 10

    def _check(self, key: str, content: bytes) -> None:
        """Checks that no job is assigned that works elsewhere or is done."""
        if not key.endswith("/mailbox.json"):
            return
        if attempt := Mailbox.model_validate_json(content).attempt:
            assert not self.busy(job_id(attempt)), "two slices for a job"
            assert f"jobs/{job_id(attempt)}/done.json" not in self.bucket.objects, "it is done"

    def _sleep(self, seconds: float) -> None:
        self.now[0] += seconds
        self.cloud.step()
