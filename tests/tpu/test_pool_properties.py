"""Pool and dispatcher against a cloud, a bucket and hosts that fail in any order.

Whatever happens: a job never works on two live slices, no slice is left, no result is lost, no job
that is done is run again, and when the faults end all jobs end. The same cases are drawn in each
run; PROMPTSCALE_CHAOS_SEEDS multiplies their number.
"""

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from promptscale.tpu.cloud import Phase

from .simulation import FATES, LARGE, LIMITS, REFUSALS, SMALL, ZONES, Host, World

EXAMPLES = 100 * int(os.environ.get("PROMPTSCALE_CHAOS_SEEDS", "2"))
MOST_TICKS = 500  # of a fair cloud, until all jobs have ended

zones = st.sampled_from(ZONES)
durations = st.sampled_from([1, 5, 15, 40])  # of faults, in ticks; a host is lost after 10
waits = st.sampled_from([0, 0, 1, 3, 12])  # after the beginning of a fault, in ticks


class Clouds(RuleBasedStateMachine):
    """Draws jobs and faults, and lets time pass between them."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self._folder.name))

    @initialize(small=st.integers(0, 3), large=st.integers(0, 2))
    def submit_first(self, small: int, large: int) -> None:
        for number in range(small):
            self._submit(f"small{number}")
        for number in range(large):
            self._submit(f"large{number}")
        self._wait_for_an_attempt()

    @precondition(lambda self: len(self.world.jobs) < 4)
    @rule(name=st.sampled_from(["small0", "small1", "small2", "small3", "large0", "large1"]))
    def submit(self, name: str) -> None:
        """Submits a job, perhaps again after its end, as a forced rerun does."""
        if all(job.remote.rule != name for job in self.world.jobs.values()):
            self._submit(name)
            self._wait_for_an_attempt()

    @precondition(lambda self: any(self.world.results.values()))
    @rule()
    def retry(self) -> None:
        """Snakemake submits failed jobs again."""
        self.world.failing.clear()
        for identity, error in list(self.world.results.items()):
            if error is not None:
                self._submit(identity.rpartition("-")[0])

    @precondition(lambda self: self.world.jobs)
    @rule(number=st.integers(1, 30))
    def pass_time(self, number: int) -> None:
        for _ in range(number):
            self.world.tick()

    @rule(seconds=st.sampled_from([30.0, 3600.0]))
    def jump(self, seconds: float) -> None:
        """The controller's machine is suspended."""
        self.world.now[0] += seconds

    @rule(zone=zones, kind=st.sampled_from(sorted(REFUSALS)), ticks=durations, wait=waits)
    def refuse(self, zone: str, kind: str, ticks: int, wait: int) -> None:
        """A zone refuses requests."""
        self.world.begin(self.world.cloud.refusals, zone, REFUSALS[kind], ticks)
        self.pass_time(wait)

    @rule(zone=zones, fate=st.sampled_from(FATES), ticks=durations, wait=waits)
    def decide(self, zone: str, fate: str, ticks: int, wait: int) -> None:
        """New slices of a zone do not start."""
        self.world.begin(self.world.cloud.fates, zone, fate, ticks)
        self.pass_time(wait)

    @rule(zone=zones, listed=st.booleans(), ticks=durations, wait=waits)
    def silence(self, zone: str, listed: bool, ticks: int, wait: int) -> None:
        """A zone does not answer, or refuses to list slices."""
        cloud = self.world.cloud
        self.world.begin(cloud.silent if listed else cloud.unlisted, zone, True, ticks)
        self.pass_time(wait)

    @rule(what=st.sampled_from(["answers", "deletions"]), ticks=durations, wait=waits)
    def lose(self, what: str, ticks: int, wait: int) -> None:
        """The answers to requests are lost, or deletions fail."""
        self.world.begin(self.world.cloud.failing, what, True, ticks)
        self.pass_time(wait)

    @rule(seconds=st.sampled_from([0.0, 3.0, 30.0]))
    def delay(self, seconds: float) -> None:
        """Lists show new slices late."""
        self.world.cloud.delay = seconds

    @rule(data=st.data(), how=st.sampled_from(["SUSPENDED", "FAILED", "GONE"]), wait=waits)
    def preempt(self, data: st.DataObject, how: str, wait: int) -> None:
        slices = [s for s in self.world.cloud.slices.values() if s.phase is Phase.ACTIVE]
        if slices:
            self.world.cloud.lose(data.draw(st.sampled_from(slices)), how)
        self.pass_time(wait)

    @rule(data=st.data(), ticks=durations, wait=waits)
    def part(self, data: st.DataObject, ticks: int, wait: int) -> None:
        """A host loses its network; later it returns with what it was doing."""
        if host := self._host(data):
            self.world.begin(host.parted, "network", True, ticks)
        self.pass_time(wait)

    @rule(data=st.data(), restarts=st.booleans(), wait=waits)
    def stop_host(self, data: st.DataObject, restarts: bool, wait: int) -> None:
        """A host dies or restarts."""
        if host := self._host(data):
            host.alive = False
            if restarts:
                host.restart()
        self.pass_time(wait)

    @rule(
        code=st.sampled_from(["UNAVAILABLE: try again.", "PERMISSION_DENIED: no rights."]),
        ticks=durations,
        wait=waits,
    )
    def close_bucket(self, code: str, ticks: int, wait: int) -> None:
        self.world.begin(self.world.bucket.closed, "bucket", code, ticks)
        self.pass_time(wait)

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data())
    def fail_script(self, data: st.DataObject) -> None:
        """The script of a job fails until the job is submitted again."""
        self.world.failing.add(data.draw(st.sampled_from(sorted(self.world.jobs))))

    @rule(wait=waits)
    def kill_controller(self, wait: int) -> None:
        self.world.start_controller()
        self.pass_time(wait)

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            self.world.stop()
            self._folder.cleanup()

    def _submit(self, name: str) -> None:
        self.world.submit(name, LARGE if name.startswith("large") else SMALL)

    def _host(self, data: st.DataObject) -> Host | None:
        """A host, a running one if there is one."""
        hosts = [host for s in self.world.cloud.slices.values() for host in s.hosts]
        hosts = [host for host in hosts if host.status.state == "running"] or hosts
        return data.draw(st.sampled_from(hosts)) if hosts else None

    def _wait_for_an_attempt(self) -> None:
        """Lets time pass until a host works, so that faults often meet an attempt."""
        for _ in range(10):
            hosts = [host for s in self.world.cloud.slices.values() for host in s.hosts]
            if any(host.status.state == "running" for host in hosts):
                break
            self.world.tick()

    def _finish(self) -> None:
        """Ends all faults; Snakemake submits failed jobs once more; all jobs succeed."""
        world = self.world
        world.heal()
        self._end_all_jobs()
        self.retry()
        self._end_all_jobs()
        assert not any(world.results.values()), world.results
        world.now[0] += LIMITS.idle
        world.dispatcher.cycle()
        world.dispatcher.close()
        assert not world.left()
        assert not [key for key in world.bucket.objects if key.startswith(("slices/", "zones/"))]

    def _end_all_jobs(self) -> None:
        for _ in range(MOST_TICKS):
            if not self.world.jobs:
                return
            self.world.tick()
        raise AssertionError(f"these jobs do not end: {[*self.world.jobs]}")


TestClouds = Clouds.TestCase
TestClouds.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
