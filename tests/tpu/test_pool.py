"""The pool's decisions, with a clock that the test sets and a cloud that is a dictionary."""

import dataclasses

import pytest

from promptscale.errors import TpuError
from promptscale.tpu.cloud import Cloud, ListedSlice, Phase, SliceType, Unavailable
from promptscale.tpu.pool import ENVIRONMENT, RUN, TYPE, Limits, Pool
from promptscale.tpu.protocol import Status

SMALL = SliceType("v2-8", "base", hosts=1, chips=4, tier="spot", zones=("here", "there"))
LARGE = SliceType("v3-32", "base", hosts=4, chips=16, tier="spot", zones=("here",))


class DictCloud(Cloud):
    """A cloud whose slices are a dictionary; attributes make its methods fail."""

    def __init__(self) -> None:
        self.slices: dict[str, ListedSlice] = {}
        self.quota_is_full = False
        self.unanswered_zones: set[str] = set()
        self.forbidden = False
        self.lists = 0

    def list(self, zone: str):
        self.lists += 1
        if self.forbidden:
            raise TpuError("Permission denied.")
        if zone in self.unanswered_zones:
            raise Unavailable("No answer.")
        return [slice_ for slice_ in self.slices.values() if slice_.zone == zone]

    def create(self, name, zone, slice_type, labels, metadata) -> None:
        if self.quota_is_full:
            raise Unavailable("The quota is full.")
        accelerator = slice_type.accelerator
        self.slices[name] = ListedSlice(name, zone, accelerator, labels, state="ACCEPTED")

    def delete(self, name: str, zone: str) -> None:
        self.slices.pop(name, None)

    def change(self, name: str, **fields) -> None:
        self.slices[name] = dataclasses.replace(self.slices[name], **fields)


@dataclasses.dataclass
class Scene:
    cloud: DictCloud
    pool: Pool
    now: list[float]

    def activate(self, name: str) -> None:
        """Makes a slice active, and sends a heartbeat from all of its hosts."""
        self.cloud.change(name, phase=Phase.ACTIVE, state="ACTIVE")
        self.pool.refresh()
        self.send_heartbeat(name, 1)

    def poll(self, seconds: float) -> None:
        """Polls the hosts every second."""
        for _ in range(int(seconds)):
            self.now[0] += 1.0
            self.pool.mark_polled()

    def send_heartbeat(self, name: str, number: int, **fields) -> None:
        slice_ = self.pool.slices[name]
        for host in range(slice_.type.hosts):
            status = Status(incarnation="a", heartbeat=number, **fields)
            self.pool.record_status(slice_, host, status)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    cloud, now = DictCloud(), [0.0]
    monkeypatch.setattr("promptscale.tpu.pool.monotonic", lambda: now[0])
    limits = Limits(idle=100.0, startup=50.0, heartbeat=20.0, queue=30.0, interval=2.0, chips=20.0)
    pool = Pool(cloud, "run", "e1", limits, lambda name, kind: {})
    pool.register(SMALL)
    pool.register(LARGE)
    return Scene(cloud, pool, now)


def test_slices_are_named_by_run_and_job_and_requested_once(scene: Scene):
    for _ in range(3):
        scene.pool.request_slices(SMALL.key, ["train-1", "train-2"])
        scene.pool.refresh()
    assert list(scene.cloud.slices) == ["run-train-1-0", "run-train-2-0"]
    scene.pool.drop(scene.pool.slices["run-train-1-0"])
    scene.pool.request_slices(SMALL.key, ["train-1", "train-2"])
    assert set(scene.pool.slices) == {"run-train-1-1", "run-train-2-0"}


def test_a_cycle_has_a_list_call_per_zone(scene: Scene):
    scene.pool.request_slices(SMALL.key, [f"train-{number}" for number in range(5)])
    before = scene.cloud.lists
    scene.pool.refresh()
    assert scene.cloud.lists - before == 2


def test_an_idle_slice_is_used_again_and_deleted_after_its_timeout(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one"])
    scene.activate("run-one-0")
    scene.now[0] = 99.0
    scene.pool.drop_unused()
    scene.pool.request_slices(SMALL.key, ["two"])
    assert list(scene.cloud.slices) == ["run-one-0"]
    scene.now[0] = 101.0
    scene.pool.drop_unused()
    assert not scene.cloud.slices and not scene.pool.slices


def test_at_the_bound_on_chips_idle_slices_are_replaced_and_busy_slices_stay(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one", "two"])
    scene.activate("run-one-0")
    scene.activate("run-two-0")
    scene.pool.slices["run-one-0"].attempt = "job/attempt"
    scene.pool.request_slices(LARGE.key, ["large"])
    assert set(scene.cloud.slices) == {"run-one-0", "run-large-0"}
    scene.pool.request_slices(LARGE.key, ["large", "larger"])
    assert set(scene.cloud.slices) == {"run-one-0", "run-large-0"}


def test_every_failure_of_a_slice_has_a_reason(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one"])
    slice_ = scene.pool.slices["run-one-0"]
    assert scene.pool.failure_reason(slice_) is None
    scene.now[0] = 31.0
    assert scene.pool.failure_reason(slice_) == "queued too long"
    scene.cloud.change(slice_.name, phase=Phase.ACTIVE, state="ACTIVE")
    scene.pool.refresh()
    scene.now[0] = 31.0 + 51.0
    assert scene.pool.failure_reason(slice_) == "its hosts did not start"
    scene.send_heartbeat(slice_.name, 1)
    assert scene.pool.failure_reason(slice_) is None
    scene.poll(21.0)
    assert scene.pool.failure_reason(slice_) == "host 0 was lost"
    scene.send_heartbeat(slice_.name, 2)
    assert scene.pool.failure_reason(slice_) is None
    scene.send_heartbeat(slice_.name, 3, state="restarted")
    assert scene.pool.failure_reason(slice_) == "host 0 was restarted"
    scene.cloud.change(slice_.name, phase=Phase.LOST, state="FAILED", message="no capacity")
    scene.pool.refresh()
    assert scene.pool.failure_reason(slice_) == "FAILED: no capacity"
    del scene.cloud.slices[slice_.name]
    scene.pool.refresh()
    scene.pool.refresh()
    assert scene.pool.failure_reason(slice_) == "gone"


def test_slices_in_a_zone_that_does_not_answer_stay_unchanged(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one"])
    scene.activate("run-one-0")
    scene.cloud.unanswered_zones = {"here"}
    for _ in range(3):
        scene.pool.refresh()
    assert scene.pool.failure_reason(scene.pool.slices["run-one-0"]) is None


def test_time_without_polls_does_not_count_for_the_heartbeat_timeout(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one"])
    scene.activate("run-one-0")
    scene.now[0] += 3600.0
    scene.poll(10)
    assert scene.pool.failure_reason(scene.pool.slices["run-one-0"]) is None
    scene.poll(10)
    assert scene.pool.failure_reason(scene.pool.slices["run-one-0"]) == "host 0 was lost"


def test_a_slice_that_never_started_is_requested_in_the_next_zone(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one"])
    assert scene.cloud.slices["run-one-0"].zone == "here"
    scene.pool.drop(scene.pool.slices["run-one-0"])
    scene.pool.request_slices(SMALL.key, ["one"])
    assert scene.cloud.slices["run-one-1"].zone == "there"


def test_pauses_between_requests_double_while_the_quota_is_full(scene: Scene):
    scene.cloud.quota_is_full = True
    requests = []
    for second in range(40):
        scene.now[0] = float(second)
        before = scene.pool._pauses.get(SMALL.key)
        scene.pool.request_slices(SMALL.key, ["one"])
        if scene.pool._pauses.get(SMALL.key) != before:
            requests.append(second)
    assert requests == [0, 1, 3, 7, 15, 31]
    scene.cloud.quota_is_full = False
    scene.now[0] = 64.0
    scene.pool.request_slices(SMALL.key, ["one"])
    assert list(scene.cloud.slices) == ["run-one-0"]


def test_slices_of_an_earlier_controller_are_adopted_if_the_environment_is_equal(scene: Scene):
    labels = {RUN: "run", TYPE: SMALL.key, ENVIRONMENT: "e1"}
    for name, changed in (("same", {}), ("older", {ENVIRONMENT: "e0"}), ("others", {RUN: "r2"})):
        scene.cloud.create(name, "here", SMALL, labels | changed, {})
    assert [slice_.name for slice_ in scene.pool.refresh()] == ["same"]
    assert set(scene.cloud.slices) == {"same", "others"}
    scene.pool.request_slices(SMALL.key, ["one"])
    assert set(scene.cloud.slices) == {"same", "others"}
    # An adopted attempt must be claimed by a job within the idle timeout.
    scene.activate("same")
    scene.pool.slices["same"].attempt = "job/attempt"
    scene.now[0] = 101.0
    scene.pool.drop_unused()
    assert set(scene.cloud.slices) == {"others"}
    assert scene.pool.close() == []
    assert set(scene.cloud.slices) == {"others"}


def test_close_waits_during_an_outage_and_not_after_a_refusal(scene: Scene, monkeypatch):
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        scene.now[0] += seconds
        scene.cloud.unanswered_zones.clear()

    monkeypatch.setattr("promptscale.tpu.pool.sleep", wait)
    scene.pool.request_slices(SMALL.key, ["one"])
    (name,) = scene.cloud.slices
    scene.cloud.forbidden = True
    assert scene.pool.close() == [name] and not waits
    scene.cloud.forbidden = False
    scene.cloud.unanswered_zones = {"here"}
    assert scene.pool.close() == [] and waits
    assert not scene.cloud.slices


def test_a_slice_with_more_chips_than_the_bound_is_refused(scene: Scene):
    huge = dataclasses.replace(LARGE, accelerator="v3-64", chips=32)
    scene.pool.register(huge)
    with pytest.raises(TpuError, match="has 32 chips, but at most 20 may be used"):
        scene.pool.request_slices(huge.key, ["one"])
