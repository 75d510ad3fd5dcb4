"""What a killed job continues from: never half a state, nor another job's, nor a flipped bit."""

import resource
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from promptscale.errors import CheckpointError
from promptscale.training.resume import State

TREE = {"prompt": jnp.arange(12.0).reshape(3, 4), "count": jnp.int32(0)}


def tree(step: int) -> dict:
    return {"prompt": TREE["prompt"] + step, "count": jnp.int32(step)}


@pytest.fixture
def saved(tmp_path):
    """The location of a state that was saved at steps 1, 2 and 3."""
    state = State(str(tmp_path / "state"), "job")
    for step in (1, 2, 3):
        state.save(tree(step), {"step": step})
    return str(tmp_path / "state")


def restored_step(location: str, job: str = "job") -> int | None:
    found = State(location, job).restore(TREE)
    if found is None:
        return None
    arrays, progress = found
    np.testing.assert_array_equal(arrays["prompt"], tree(progress["step"])["prompt"])
    assert int(arrays["count"]) == progress["step"]
    return progress["step"]


def newest(location: str) -> Path:
    return Path(f"{location}.0")  # the third save went where the first had gone


def test_the_newest_state_is_restored_and_the_next_save_spares_it(saved):
    assert restored_step(saved) == 3
    state = State(saved, "job")
    state.restore(TREE)
    before = newest(saved).read_bytes()
    state.save(tree(4), {"step": 4})
    assert newest(saved).read_bytes() == before
    assert restored_step(saved) == 4


@pytest.mark.parametrize("keep", [0, 10, 40, -1])
def test_a_truncated_state_gives_way_to_the_one_before(saved, keep, caplog):
    newest(saved).write_bytes(newest(saved).read_bytes()[:keep])
    assert restored_step(saved) == 2
    assert "is damaged" in caplog.text


def test_any_flipped_bit_is_noticed(saved):
    content = newest(saved).read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 40):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(place) % 8
        newest(saved).write_bytes(damaged)
        assert restored_step(saved) == 2


def test_two_damaged_states_are_an_error_in_a_sentence(saved):
    for slot in (0, 1):
        path = Path(f"{saved}.{slot}")
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match=r"No saved training state is whole .*delete them"):
        restored_step(saved)


def test_a_state_of_other_settings_is_not_used(saved, caplog):
    assert restored_step(saved, "another job") is None
    assert "of other settings" in caplog.text
    state = State(saved, "another job")
    state.save(tree(7), {"step": 7})
    assert restored_step(saved, "another job") == 7


def test_a_full_disk_is_a_sentence_and_leaves_the_last_state(saved):
    state = State(saved, "job")
    state.restore(TREE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"state\.1 cannot be written: .*too large"):
            state.save(tree(4), {"step": 4})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert restored_step(saved) == 3
    assert not list(newest(saved).parent.glob("*.partial"))


def test_a_finished_job_leaves_nothing(saved):
    State(saved, "job").delete()
    assert not list(newest(saved).parent.iterdir())
    assert restored_step(saved) is None
