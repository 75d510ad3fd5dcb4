"""Saved states: a job never resumes from a damaged state or from another job's state."""

import resource
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from promptscale.errors import CheckpointError
from promptscale.training import resume
from promptscale.training.resume import State
from tests.tpu.fake_bucket import FakeBucket, bucket_environment

TREE = {"prompt": jnp.arange(12.0).reshape(3, 4), "count": jnp.int32(0)}


def tree(step: int) -> dict:
    return {"prompt": TREE["prompt"] + step, "count": jnp.int32(step)}


@pytest.fixture(params=["in the record", "apart"])
def saved(request, tmp_path, monkeypatch):
    """The location of a state that was saved at steps 1, 2 and 3."""
    if request.param == "apart":
        monkeypatch.setattr(resume, "LARGE", 4)
    state = State(str(tmp_path / "state"), "job")
    for step in (1, 2, 3):
        state.save(tree(step), {"step": step})
    return str(tmp_path / "state")


def restored_step(location: str, job: str = "job") -> int | None:
    state = State(location, job).restore(TREE)
    if state is None:
        return None
    arrays, progress = state
    np.testing.assert_array_equal(arrays["prompt"], tree(progress["step"])["prompt"])
    assert int(arrays["count"]) == progress["step"]
    return progress["step"]


def newest(location: str) -> Path:
    return Path(f"{location}.0")  # the third save replaced the first


def test_the_newest_state_is_restored_and_stays_at_the_next_save(saved):
    assert restored_step(saved) == 3
    state = State(saved, "job")
    state.restore(TREE)
    before = newest(saved).read_bytes()
    state.save(tree(4), {"step": 4})
    assert newest(saved).read_bytes() == before
    assert restored_step(saved) == 4


@pytest.mark.parametrize("keep", [0, 10, 40, -1])
def test_after_truncation_the_previous_state_is_restored(saved, keep, caplog):
    newest(saved).write_bytes(newest(saved).read_bytes()[:keep])
    assert restored_step(saved) == 2
    assert "is damaged" in caplog.text


def test_a_flipped_bit_is_detected(saved):
    content = newest(saved).read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 40):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(place) % 8
        newest(saved).write_bytes(damaged)
        assert restored_step(saved) == 2


def chunks(location: str) -> list[list[Path]]:
    """The chunk files of the older state's large arrays, and of the newer state's."""
    folders = sorted(Path(f"{location}.arrays").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [list(filter(Path.is_file, path.rglob("c/**/*"))) for path in folders]


@pytest.fixture
def apart(tmp_path, monkeypatch) -> str:
    """The location of a state saved at steps 1, 2 and 3, with the prompt in two chunks."""
    monkeypatch.setattr(resume, "LARGE", 4)
    monkeypatch.setattr(resume.arrays, "CHUNK_BYTES", 24)
    state = State(str(tmp_path / "state"), "job")
    for step in (1, 2, 3):
        state.save(tree(step), {"step": step})
    return str(tmp_path / "state")


def test_the_large_arrays_of_two_states_are_stored(apart):
    assert [len(files) for files in chunks(apart)] == [2, 2]
    assert restored_step(apart) == 3


@pytest.mark.parametrize("harm", ["flip", "cut", "lose"])
def test_after_damage_of_a_chunk_the_previous_state_is_restored(apart, harm, caplog):
    file = chunks(apart)[1][0]
    content = bytearray(file.read_bytes())
    if harm == "flip":
        content[5] ^= 1
        file.write_bytes(content)
    elif harm == "cut":
        file.write_bytes(content[:-1])
    else:
        file.unlink()
    assert restored_step(apart) == 2
    assert "state.0 is damaged" in caplog.text


def test_two_states_with_missing_chunks_are_an_error(apart):
    for files in chunks(apart):
        files[0].unlink()
    with pytest.raises(CheckpointError, match=r"All saved states of this job in .* are damaged"):
        restored_step(apart)


def test_arrays_without_a_record_are_deleted(apart):
    state = State(apart, "job")
    state.restore(TREE)
    with pytest.raises(TypeError):  # as after a kill between arrays and record
        state.save(tree(4), {"step": object()})
    assert len(chunks(apart)) == 3
    assert restored_step(apart) == 3
    state = State(apart, "job")
    state.restore(TREE)
    state.save(tree(4), {"step": 4})
    assert len(chunks(apart)) == 2
    assert restored_step(apart) == 4


def test_states_in_a_bucket(monkeypatch):
    bucket = FakeBucket()
    for name, value in bucket_environment(bucket).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(resume, "LARGE", 4)
    location = "gs://bucket/runs/a.state"
    state = State(location, "job")
    for step in (1, 2, 3):
        state.save(tree(step), {"step": step})
    assert restored_step(location) == 3
    chunks = [name for name in bucket.names("bucket/runs/a.state.arrays/") if "/c/" in name]
    assert len(chunks) == 2
    del bucket.objects[max(chunks, key=lambda name: bucket.objects[name][0])]
    assert restored_step(location) == 2
    bucket.put("bucket/runs/b.state.0", b"another job's", None)
    State(location, "job").delete()
    assert [*bucket.objects] == ["bucket/runs/b.state.0"]
    bucket.stop()


def test_two_damaged_records_are_an_error(saved):
    for slot in (0, 1):
        path = Path(f"{saved}.{slot}")
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match=r"All saved states of this job .*delete them"):
        restored_step(saved)


def test_a_state_of_other_settings_is_not_used(saved, caplog):
    assert restored_step(saved, "another job") is None
    assert "of other settings" in caplog.text
    state = State(saved, "another job")
    state.save(tree(7), {"step": 7})
    assert restored_step(saved, "another job") == 7


def test_settings_that_change_and_change_back_start_anew(saved):
    """The other settings' save deleted arrays of the first ones, so their record goes, too."""
    other = State(saved, "another job")
    assert other.restore(TREE) is None
    other.save(tree(7), {"step": 7})
    assert restored_step(saved, "job") is None
    assert restored_step(saved, "another job") == 7


def test_a_full_disk_is_an_error_and_the_last_state_stays(saved):
    state = State(saved, "job")
    state.restore(TREE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"state\..* cannot be written: .*too large"):
            state.save(tree(4), {"step": 4})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert restored_step(saved) == 3
    assert not list(newest(saved).parent.glob("*.partial"))


def test_a_finished_job_leaves_nothing(saved):
    State(saved, "job").delete()
    assert not list(newest(saved).parent.iterdir())
    assert restored_step(saved) is None
