"""Inputs on their way to the bucket: in bounded pieces, small tasks first, and none twice."""

import dataclasses
from pathlib import Path

import pytest

from promptscale.tpu import blobs
from promptscale.tpu.bucket import Bucket
from promptscale.tpu.cloud import Shape
from promptscale.tpu.dispatcher import Dispatcher
from promptscale.tpu.environment import Environment
from promptscale.tpu.pending_job import Work
from promptscale.tpu.pool import Limits
from promptscale.tpu.remote_job import Items, Task, sha256

from .test_pool import Sky

SHAPE = Shape("v2-8", "base", hosts=1, chips=4, tier="spot", zones=("here",))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """The sizes of all blobs that are written, call by call; at most 100 bytes fit into memory."""
    calls: list[dict[str, int]] = []
    original = Bucket.write_all

    def write_all(self: Bucket, contents) -> None:
        if found := {key: len(one) for key, one in contents.items() if key.startswith("blobs/")}:
            calls.append(found)
        original(self, contents)

    monkeypatch.setattr(Bucket, "write_all", write_all)
    monkeypatch.setattr(blobs, "_AT_ONCE", 100)
    return calls


def work(folder: Path, name: str, sizes: list[int]) -> Work:
    """A task with inputs of these sizes, all different."""
    found = {}
    for index, size in enumerate(sizes):
        path = folder / f"{name}-{index}"
        path.write_bytes((f"{name}{index}" * size)[:size].encode())
        found[sha256(path.read_bytes())] = path
    nothing = Items()
    task = Task(
        rule=name, script="s.py", source="", input=nothing, output=nothing, params=nothing,
        log=nothing, wildcards={}, threads=1, resources={}, config={}, files={},
    )  # fmt: skip
    return Work(task, SHAPE, found, {}, None)


@dataclasses.dataclass
class Scene:
    dispatcher: Dispatcher
    sky: Sky
    now: list[float]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A controller whose clock goes on by a second at every look, with beats of 5 s."""
    sky, now = Sky(), [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    (tmp_path / "bucket").mkdir()
    bucket = Bucket(str(tmp_path / "bucket"))
    dispatcher = Dispatcher(sky, bucket, Environment("e", {}), "run", Limits(), 5.0, 3, clock)
    return Scene(dispatcher, sky, now)


def test_a_large_input_is_stored_piece_by_piece(scene: Scene, tmp_path: Path, written):
    scene.dispatcher.add(work(tmp_path, "large", [60, 60, 60, 150, 40, 0]))
    scene.dispatcher.cycle()
    assert [list(call.values()) for call in written] == [[60], [60], [60], [150], [40, 0]]
    assert len(scene.sky.slices) == 1


def test_small_tasks_do_not_wait_for_a_large_one(scene: Scene, tmp_path: Path, written):
    large = work(tmp_path, "large", [90] * 30)
    scene.dispatcher.add(large)
    scene.dispatcher.add(work(tmp_path, "small", [10]))
    scene.dispatcher.cycle()
    assert list(scene.sky.slices) == [f"run-small-{sha256(b'[]')[:8]}-0"]
    assert len(written) < 10
    for _ in range(10):
        scene.dispatcher.cycle()
    assert len(scene.sky.slices) == 2
    keys = [key for call in written for key in call]
    assert len(keys) == len(set(keys)) == 31


def test_what_is_there_is_not_stored_again(scene: Scene, tmp_path: Path, written):
    for _ in range(2):
        scene.dispatcher.add(work(tmp_path, "one", [50, 20]))
        scene.dispatcher.cycle()
    assert len(written) == 1
