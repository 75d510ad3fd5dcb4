"""The pool's decisions, with a clock that is turned by hand and a cloud in a dictionary."""

import dataclasses

import pytest

from promptscale.errors import TpuError
from promptscale.tpu.cloud import Busy, Cloud, Listed, Phase, Shape
from promptscale.tpu.pool import ENVIRONMENT, RUN, SHAPE, Limits, Pool, key_of
from promptscale.tpu.status import Status

SMALL = Shape("v2-8", "base", hosts=1, chips=4, tier="spot", zones=("here", "there"))
LARGE = Shape("v3-32", "base", hosts=4, chips=16, tier="spot", zones=("here",))


class Sky(Cloud):
    """What the pool may ask of a cloud."""

    def __init__(self) -> None:
        self.slices: dict[str, Listed] = {}
        self.busy = False
        self.silent: set[str] = set()
        self.forbidden = False
        self.lists = 0

    def list(self, zone: str):
        self.lists += 1
        if self.forbidden:
            raise TpuError("Permission denied.")
        if zone in self.silent:
            raise Busy("No answer.")
        return [one for one in self.slices.values() if one.zone == zone]

    def create(self, name, zone, shape, labels, metadata) -> None:
        if self.busy:
            raise Busy("The quota is full.")
        self.slices[name] = Listed(
            name, zone, shape.accelerator, Phase.COMING, "ACCEPTED", "", labels
        )

    def delete(self, name: str, zone: str) -> None:
        self.slices.pop(name, None)

    def change(self, name: str, **fields) -> None:
        self.slices[name] = dataclasses.replace(self.slices[name], **fields)


@dataclasses.dataclass
class Scene:
    sky: Sky
    pool: Pool
    now: list[float]

    def activate(self, name: str) -> None:
        """Lets a slice come up, with all of its hosts."""
        self.sky.change(name, phase=Phase.ACTIVE, state="ACTIVE")
        self.pool.refresh()
        self.beat(name, 1)

    def watch(self, seconds: float) -> None:
        """Looks at the hosts every second."""
        for _ in range(int(seconds)):
            self.now[0] += 1.0
            self.pool.looked()

    def beat(self, name: str, number: int, **fields) -> None:
        mine = self.pool.slices[name]
        for host in range(mine.hosts):
            self.pool.hear(mine, host, Status(incarnation="a", beat=number, **fields))


@pytest.fixture
def scene() -> Scene:
    sky, now = Sky(), [0.0]
    limits = Limits(100.0, 50.0, 20.0, 30.0, pause=1.0, chips=20.0)
    pool = Pool(sky, "run", "e1", limits, lambda name, shape: {}, lambda: now[0])
    pool.know(SMALL)
    pool.know(LARGE)
    return Scene(sky, pool, now)


def test_slices_are_named_by_run_rule_and_work_and_asked_for_once(scene: Scene):
    for _ in range(3):
        scene.pool.provide(key_of(SMALL), ["train-1", "train-2"])
        scene.pool.refresh()
    assert list(scene.sky.slices) == ["run-train-1-0", "run-train-2-0"]
    scene.pool.drop(scene.pool.slices["run-train-1-0"])
    scene.pool.provide(key_of(SMALL), ["train-1", "train-2"])
    assert set(scene.pool.slices) == {"run-train-1-1", "run-train-2-0"}


def test_one_list_per_zone_whatever_there_is(scene: Scene):
    scene.pool.provide(key_of(SMALL), [f"train-{number}" for number in range(5)])
    before = scene.sky.lists
    scene.pool.refresh()
    assert scene.sky.lists - before == 2


def test_a_free_slice_waits_for_work_and_is_then_deleted(scene: Scene):
    scene.pool.provide(key_of(SMALL), ["one"])
    scene.activate("run-one-0")
    scene.now[0] = 99.0
    scene.pool.drop_unused()
    scene.pool.provide(key_of(SMALL), ["two"])
    assert list(scene.sky.slices) == ["run-one-0"]  # it will do
    scene.now[0] = 101.0
    scene.pool.drop_unused()
    assert not scene.sky.slices and not scene.pool.slices


def test_a_free_slice_makes_room_under_the_cap_and_a_busy_one_does_not(scene: Scene):
    scene.pool.provide(key_of(SMALL), ["one", "two"])
    scene.activate("run-one-0")
    scene.activate("run-two-0")
    scene.pool.slices["run-one-0"].attempt = "task/attempt"
    scene.pool.provide(key_of(LARGE), ["large"])
    assert set(scene.sky.slices) == {"run-one-0", "run-large-0"}
    scene.pool.provide(key_of(LARGE), ["large", "larger"])
    assert set(scene.sky.slices) == {"run-one-0", "run-large-0"}


def test_what_can_go_wrong_with_a_slice_is_seen(scene: Scene):
    scene.pool.provide(key_of(SMALL), ["one"])
    mine = scene.pool.slices["run-one-0"]
    assert scene.pool.trouble(mine) is None
    scene.now[0] = 31.0
    assert scene.pool.trouble(mine) == "queued too long"
    scene.sky.change(mine.name, phase=Phase.ACTIVE, state="ACTIVE")
    scene.pool.refresh()
    scene.now[0] = 31.0 + 51.0
    assert scene.pool.trouble(mine) == "its hosts did not start"
    scene.beat(mine.name, 1)
    assert scene.pool.trouble(mine) is None
    scene.watch(21.0)
    assert scene.pool.trouble(mine) == "host 0 was lost"
    scene.beat(mine.name, 2)
    assert scene.pool.trouble(mine) is None
    scene.beat(mine.name, 3, state="restarted")
    assert scene.pool.trouble(mine) == "host 0 was restarted"
    scene.sky.change(mine.name, phase=Phase.LOST, state="FAILED", message="no capacity")
    scene.pool.refresh()
    assert scene.pool.trouble(mine) == "FAILED: no capacity"
    del scene.sky.slices[mine.name]
    scene.pool.refresh()
    scene.pool.refresh()
    assert scene.pool.trouble(mine) == "gone"


def test_a_zone_that_does_not_answer_is_left_as_it_was(scene: Scene):
    scene.pool.provide(key_of(SMALL), ["one"])
    scene.activate("run-one-0")
    scene.sky.silent = {"here"}
    for _ in range(3):
        scene.pool.refresh()
    assert scene.pool.trouble(scene.pool.slices["run-one-0"]) is None


def test_hosts_are_not_silent_while_nobody_could_hear_them(scene: Scene):
    scene.pool.provide(key_of(SMALL), ["one"])
    scene.activate("run-one-0")
    scene.now[0] += 3600.0
    scene.watch(10)
    assert scene.pool.trouble(scene.pool.slices["run-one-0"]) is None
    scene.watch(10)
    assert scene.pool.trouble(scene.pool.slices["run-one-0"]) == "host 0 was lost"


def test_after_too_long_in_one_queue_the_next_zone_is_asked(scene: Scene):
    scene.pool.provide(key_of(SMALL), ["one"])
    assert scene.sky.slices["run-one-0"].zone == "here"
    scene.pool.drop(scene.pool.slices["run-one-0"])
    scene.pool.provide(key_of(SMALL), ["one"])
    assert scene.sky.slices["run-one-1"].zone == "there"


def test_a_full_quota_is_asked_again_ever_more_slowly(scene: Scene):
    scene.sky.busy = True
    asked = []
    for second in range(40):
        scene.now[0] = float(second)
        before = scene.pool._pause.get(key_of(SMALL))
        scene.pool.provide(key_of(SMALL), ["one"])
        if scene.pool._pause.get(key_of(SMALL)) != before:
            asked.append(second)
    assert asked == [0, 1, 3, 7, 15, 31]
    scene.sky.busy = False
    scene.now[0] = 64.0
    scene.pool.provide(key_of(SMALL), ["one"])
    assert list(scene.sky.slices) == ["run-one-0"]


def test_slices_of_an_earlier_controller_are_adopted_if_their_environment_is_ours(scene: Scene):
    labels = {RUN: "run", SHAPE: key_of(SMALL), ENVIRONMENT: "e1"}
    for name, changed in (("same", {}), ("older", {ENVIRONMENT: "e0"}), ("others", {RUN: "r2"})):
        scene.sky.create(name, "here", SMALL, labels | changed, {})
    assert [one.name for one in scene.pool.refresh()] == ["same"]
    assert set(scene.sky.slices) == {"same", "others"}
    scene.pool.provide(key_of(SMALL), ["one"])
    assert set(scene.sky.slices) == {"same", "others"}
    # What it is at is nobody's: it has as long as a free slice to be claimed.
    scene.activate("same")
    scene.pool.slices["same"].attempt = "task/attempt"
    scene.now[0] = 101.0
    scene.pool.drop_unused()
    assert set(scene.sky.slices) == {"others"}
    assert scene.pool.close(lambda seconds: None) == []
    assert set(scene.sky.slices) == {"others"}


def test_at_the_end_an_outage_is_waited_for_and_a_refusal_is_not(scene: Scene):
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        scene.now[0] += seconds
        scene.sky.silent.clear()

    scene.pool.provide(key_of(SMALL), ["one"])
    (name,) = scene.sky.slices
    scene.sky.forbidden = True
    assert scene.pool.close(wait) == [name] and not waits
    scene.sky.forbidden = False
    scene.sky.silent = {"here"}
    assert scene.pool.close(wait) == [] and waits
    assert not scene.sky.slices


def test_more_chips_than_may_be_had_are_refused(scene: Scene):
    huge = dataclasses.replace(LARGE, accelerator="v3-64", chips=32)
    with pytest.raises(TpuError, match="has 32 chips, more than may be had at a time"):
        scene.pool.provide(scene.pool.know(huge), ["one"])
