"""Storing of inputs in the bucket: in bounded batches, small jobs first, each file once."""

import dataclasses
import os
from pathlib import Path

import pytest

from promptscale.errors import TpuError
from promptscale.storage.store import Store
from promptscale.tpu import intake
from promptscale.tpu.cloud import SliceType
from promptscale.tpu.dispatcher import Dispatcher
from promptscale.tpu.environment import Environment
from promptscale.tpu.log_copy import LogCopy
from promptscale.tpu.pending_job import PendingJob
from promptscale.tpu.pool import Limits
from promptscale.tpu.remote_job import Items, RemoteJob, sha256

from .test_pool import DictCloud

TYPE = SliceType("v2-8", "base", hosts=1, chips=4, tier="spot", zones=("here",))


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """The sizes of all written blobs, a dictionary per write; a batch has at most 100 bytes."""
    calls: list[dict[str, int]] = []
    original = Store.write_many

    def write_many(self: Store, contents) -> None:
        if sizes := {key: len(contents[key]) for key in contents if key.startswith("blobs/")}:
            calls.append(sizes)
        original(self, contents)

    monkeypatch.setattr(Store, "write_many", write_many)
    monkeypatch.setattr(intake, "_BYTES_AT_ONCE", 100)
    return calls


def make_job(folder: Path, name: str, sizes: list[int]) -> PendingJob:
    """A job whose inputs have these sizes and different contents."""
    files = {}
    for index, size in enumerate(sizes):
        path = folder / f"{name}-{index}"
        path.write_bytes((f"{name}{index}" * size)[:size].encode())
        files[sha256(path.read_bytes())] = path
    empty = Items()
    remote = RemoteJob(
        rule=name, script="s.py", source="", input=empty, output=empty, params=empty,
        log=empty, wildcards={}, threads=1, resources={}, config={}, files={},
    )  # fmt: skip
    return PendingJob(remote, TYPE, files, {}, LogCopy(Path(os.devnull)))


@dataclasses.dataclass
class Scene:
    dispatcher: Dispatcher
    cloud: DictCloud


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A dispatcher with heartbeats of 5 s and a clock that advances by 1 s whenever it is read."""
    cloud, now = DictCloud(), [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    for module in ("intake", "pool", "dispatcher", "zones"):
        monkeypatch.setattr(f"promptscale.tpu.{module}.monotonic", clock)
    (tmp_path / "bucket").mkdir()
    store = Store(tmp_path / "bucket", TpuError)
    dispatcher = Dispatcher(cloud, store, Environment("e", {}), "run", Limits(interval=5.0))
    return Scene(dispatcher, cloud)


def test_a_large_input_is_stored_in_batches(scene: Scene, tmp_path: Path, batches):
    scene.dispatcher.add(make_job(tmp_path, "large", [60, 60, 60, 150, 40, 0]))
    scene.dispatcher.cycle()
    assert [list(sizes.values()) for sizes in batches] == [[60], [60], [60], [150], [40, 0]]
    assert len(scene.cloud.slices) == 1


def test_small_jobs_do_not_wait_for_a_large_job(scene: Scene, tmp_path: Path, batches):
    scene.dispatcher.add(make_job(tmp_path, "large", [90] * 30))
    scene.dispatcher.add(make_job(tmp_path, "small", [10]))
    scene.dispatcher.cycle()
    zone = sha256(b"here")[:4]
    assert list(scene.cloud.slices) == [f"run-small-{sha256(b'[]')[:8]}-{zone}-0"]
    assert len(batches) < 10
    for _ in range(10):
        scene.dispatcher.cycle()
    assert len(scene.cloud.slices) == 2
    keys = [key for sizes in batches for key in sizes]
    assert len(keys) == len(set(keys)) == 31


def test_a_stored_file_is_not_stored_again(scene: Scene, tmp_path: Path, batches):
    for _ in range(2):
        scene.dispatcher.add(make_job(tmp_path, "job", [50, 20]))
        scene.dispatcher.cycle()
    assert len(batches) == 1


@pytest.mark.parametrize("change", ["vanishes", "changes", "becomes a folder"])
def test_an_input_that_vanishes_or_changes_fails_its_job_alone(
    scene: Scene, tmp_path: Path, batches, change: str
):
    job, other = make_job(tmp_path, "job", [50, 20]), make_job(tmp_path, "other", [30])
    scene.dispatcher.add(job)
    scene.dispatcher.add(other)
    path = tmp_path / "job-1"
    path.unlink()
    if change == "changes":
        path.write_bytes(b"other content")
    elif change == "becomes a folder":
        path.mkdir()
    scene.dispatcher.cycle()
    assert job.ended and str(job.error).startswith(f"The input {path} of job ")
    assert job.error.endswith(
        (
            " cannot be read: No such file or directory.\n",
            "submitted.\n",
            " cannot be read: Is a directory.\n",
        )
    )
    assert not other.ended and len(scene.cloud.slices) == 1


def test_the_inputs_of_a_failed_job_are_stored_again(scene: Scene, tmp_path: Path, batches):
    """They may have vanished from the bucket."""
    scene.dispatcher.add(job := make_job(tmp_path, "job", [50, 20]))
    scene.dispatcher.cycle()
    scene.dispatcher._end(job, "There is no file gs://bucket/blobs/x.\n")
    scene.dispatcher.add(make_job(tmp_path, "job", [50, 20]))
    scene.dispatcher.cycle()
    assert len(batches) == 2
