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
        self.refusals: dict[str, TpuError] = {}  # of requests, by zone
        self.unlisted: set[str] = set()  # zones that refuse to list slices
        self.asked: list[str] = []  # the zones of all requests
        self.unanswered_zones: set[str] = set()
        self.forbidden = False
        self.lists = 0

    def list(self, zone: str):
        self.lists += 1
        if self.forbidden:
            raise TpuError("Permission denied.")
        if zone in self.unlisted:
            raise TpuError(f"Slices in {zone} may not be listed.")
        if zone in self.unanswered_zones:
            raise Unavailable("No answer.")
        return [slice_ for slice_ in self.slices.values() if slice_.zone == zone]

    def create(self, name, zone, slice_type, labels, metadata) -> None:
        self.asked.append(zone)
        if zone in self.refusals:
            raise self.refusals[zone]
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

    def drop_unused(self) -> None:
        for slice_ in self.pool.unused():
            self.pool.drop(slice_)

    def request(self, slice_type: SliceType, seconds: int) -> None:
        """Requests a slice every ten seconds."""
        for _ in range(0, seconds, 10):
            self.now[0] += 10.0
            self.pool.refresh()
            self.pool.request_slices(slice_type.key, ["one"])

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
    for module in ("pool", "zones"):
        monkeypatch.setattr(f"promptscale.tpu.{module}.monotonic", lambda: now[0])
    limits = Limits(idle=100.0, startup=50.0, heartbeat=20.0, queue=30.0, interval=2.0, chips=20.0)
    pool = Pool(cloud, "run", "e1", limits, lambda name, kind: {})
    pool.register(SMALL)
    pool.register(LARGE)
    return Scene(cloud, pool, now)


def test_slices_are_named_by_run_and_job_and_requested_once(scene: Scene):
    for _ in range(3):
        scene.pool.request_slices(SMALL.key, ["train-1", "train-2"])
        scene.pool.refresh()
    assert list(scene.cloud.slices) == ["run-train-1-fcec-0", "run-train-2-fcec-0"]
    scene.pool.drop(scene.pool.slices["run-train-1-fcec-0"])
    scene.pool.request_slices(SMALL.key, ["train-1", "train-2"])
    assert set(scene.pool.slices) == {"run-train-1-fcec-1", "run-train-2-fcec-0"}


def test_a_cycle_has_a_list_call_per_zone(scene: Scene):
    scene.pool.request_slices(SMALL.key, [f"train-{number}" for number in range(5)])
    before = scene.cloud.lists
    scene.pool.refresh()
    assert scene.cloud.lists - before == 2


def test_an_idle_slice_is_used_again_and_deleted_after_its_timeout(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one"])
    scene.activate("run-one-fcec-0")
    scene.now[0] = 99.0
    scene.drop_unused()
    scene.pool.request_slices(SMALL.key, ["two"])
    assert list(scene.cloud.slices) == ["run-one-fcec-0"]
    scene.now[0] = 101.0
    scene.drop_unused()
    assert not scene.cloud.slices and not scene.pool.slices


def test_at_the_bound_on_chips_idle_slices_are_replaced_and_busy_slices_stay(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one", "two"])
    scene.activate("run-one-fcec-0")
    scene.activate("run-two-fcec-0")
    scene.pool.slices["run-one-fcec-0"].attempt = "job/attempt"
    scene.pool.request_slices(LARGE.key, ["large"])
    assert set(scene.cloud.slices) == {"run-one-fcec-0", "run-large-fcec-0"}
    scene.pool.request_slices(LARGE.key, ["large", "larger"])
    assert set(scene.cloud.slices) == {"run-one-fcec-0", "run-large-fcec-0"}


def test_every_failure_of_a_slice_has_a_reason(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one"])
    slice_ = scene.pool.slices["run-one-fcec-0"]
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
    scene.activate("run-one-fcec-0")
    scene.cloud.unanswered_zones = {"here"}
    for _ in range(3):
        scene.pool.refresh()
    assert scene.pool.failure_reason(scene.pool.slices["run-one-fcec-0"]) is None


def test_time_without_polls_does_not_count_for_the_heartbeat_timeout(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one"])
    scene.activate("run-one-fcec-0")
    scene.now[0] += 3600.0
    scene.poll(10)
    assert scene.pool.failure_reason(scene.pool.slices["run-one-fcec-0"]) is None
    scene.poll(10)
    assert scene.pool.failure_reason(scene.pool.slices["run-one-fcec-0"]) == "host 0 was lost"


REFUSALS = {
    "429": Unavailable("Quota limit exceeded. Limit: 0."),
    "400": TpuError("The accelerator type was not found."),
    "403": TpuError("Permission denied."),
    "404": TpuError("There is no such zone."),
    "409": TpuError("The operation was aborted."),
    "503": Unavailable("Try again."),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_zone_that_refuses_is_left_for_the_next_zone(scene: Scene, code: str):
    scene.cloud.refusals = {"here": REFUSALS[code]}
    scene.request(SMALL, 24 * 3600)
    assert scene.cloud.asked == ["here", "there"]
    assert [slice_.zone for slice_ in scene.cloud.slices.values()] == ["there"]


@pytest.mark.parametrize("state", ["FAILED", "SUSPENDED", "WAITING_FOR_RESOURCES"])
def test_a_slice_that_does_not_start_is_requested_in_the_next_zone(scene: Scene, state: str):
    scene.pool.request_slices(SMALL.key, ["one"])
    if state != "WAITING_FOR_RESOURCES":
        scene.cloud.change("run-one-fcec-0", phase=Phase.LOST, state=state)
    scene.pool.refresh()
    scene.now[0] = 31.0
    slice_ = scene.pool.slices["run-one-fcec-0"]
    scene.pool.drop(slice_, scene.pool.failure_reason(slice_))
    scene.pool.request_slices(SMALL.key, ["one"])
    assert list(scene.cloud.slices) == ["run-one-e244-0"]


def test_a_zone_that_refuses_to_list_slices_is_not_used(scene: Scene):
    """Slices there could not be found again. Types with other zones are not affected."""
    scene.cloud.unlisted = {"here"}
    scene.request(SMALL, 60)
    assert scene.cloud.asked == ["there"]
    with pytest.raises(TpuError, match=r"No zone gives .* v3-32: Slices in here may not be listed"):
        scene.request(LARGE, 60)
    scene.cloud.unlisted = {"here", "there"}
    with pytest.raises(TpuError, match=r"Slices in here may .* Slices in there may not be listed"):
        scene.pool.refresh()


def test_if_all_zones_refuse_the_error_has_the_words_of_each(scene: Scene):
    scene.cloud.refusals = {"here": REFUSALS["403"], "there": REFUSALS["400"]}
    with pytest.raises(TpuError, match=r"No zone gives .* v2-8: Permission denied. The accel"):
        scene.request(SMALL, 60)
    assert scene.cloud.asked == ["here", "there"]
    # A job that is tried again asks again.
    scene.cloud.refusals.clear()
    scene.request(SMALL, 10)
    assert len(scene.cloud.slices) == 1


def test_temporary_refusals_of_all_zones_are_an_error_after_many_in_a_row(scene: Scene):
    scene.cloud.refusals = {"here": REFUSALS["429"], "there": REFUSALS["503"]}
    with pytest.raises(TpuError, match=r"No zone gives .*: Quota limit .* Limit: 0. Try again."):
        scene.request(SMALL, 24 * 3600)
    assert scene.cloud.asked.count("here") == scene.cloud.asked.count("there") == 21


def test_refusals_are_no_error_while_the_run_uses_the_quota(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["zero"])
    scene.activate("run-zero-fcec-0")
    scene.pool.slices["run-zero-fcec-0"].attempt = "job/attempt"
    scene.cloud.refusals = {"here": REFUSALS["429"], "there": REFUSALS["429"]}
    scene.request(SMALL, 24 * 3600)
    scene.pool.drop(scene.pool.slices["run-zero-fcec-0"])
    scene.request(SMALL, 60)
    scene.cloud.refusals = {"here": REFUSALS["429"]}
    scene.request(SMALL, 600)
    assert [slice_.zone for slice_ in scene.cloud.slices.values()] == ["there"]


def test_pauses_between_requests_to_a_zone_double(scene: Scene):
    scene.cloud.refusals = {"here": REFUSALS["429"]}
    requests = []
    for second in range(40):
        scene.now[0] = float(second)
        before = len(scene.cloud.asked)
        scene.pool.request_slices(LARGE.key, ["one"])
        requests += [second] * (len(scene.cloud.asked) - before)
    assert requests == [0, 1, 3, 7, 15, 31]
    scene.cloud.refusals.clear()
    scene.now[0] = 64.0
    scene.pool.request_slices(LARGE.key, ["one"])
    assert list(scene.cloud.slices) == ["run-one-fcec-0"]


def test_slices_in_zones_that_refuse_remain_and_the_others_are_deleted(scene: Scene):
    scene.pool.request_slices(SMALL.key, ["one"])
    scene.cloud.refusals = {"here": REFUSALS["429"]}
    scene.pool.request_slices(SMALL.key, ["one", "two"])
    scene.pool.request_slices(SMALL.key, ["one", "two"])
    assert len(scene.cloud.slices) == 2
    scene.cloud.unlisted = {"here"}
    assert scene.pool.close() == ["run-one-fcec-0"]
    assert list(scene.cloud.slices) == ["run-one-fcec-0"]


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
    scene.drop_unused()
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
