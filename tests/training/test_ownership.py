"""A saved state has one owner: another process refuses it, or takes it over from a dead process."""

import subprocess
import sys

import jax.numpy as jnp
import psutil
import pytest

from promptscale.errors import CheckpointError
from promptscale.storage.store import Store
from promptscale.training import ownership
from promptscale.training.ownership import Owner, Ownership
from promptscale.training.resume import State
from tests.tpu.fake_bucket import FakeBucket, bucket_environment

TREE = {"prompt": jnp.ones((3, 4))}
IN_USE = r"state is in use by process \d+ on \S+, since \S+; wait until that process ends"


@pytest.fixture(autouse=True)
def grace(monkeypatch):
    """Shortens the time in which a killed process on this machine ends."""
    monkeypatch.setattr(ownership, "GRACE_SECONDS", 0.5)


@pytest.fixture(params=["local", "bucket"])
def location(request, tmp_path, monkeypatch):
    """A place for a state."""
    if request.param == "local":
        yield str(tmp_path / "state")
        return
    bucket = FakeBucket()
    for name, value in bucket_environment(bucket).items():
        monkeypatch.setenv(name, value)
    yield "gs://bucket/runs/state"
    bucket.stop()


@pytest.fixture
def process():
    """Another process on this machine."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield other
    other.kill()
    other.wait()


def write_owner(location: str, **changes) -> Owner:
    """Makes an owner of a state, as if it had written the file itself."""
    folder, _, key = location.rpartition("/")
    store = Store(folder, CheckpointError)
    claim = Ownership(store, f"{key}.owner", location)
    claim._owner = claim._owner.model_copy(update=changes)
    claim._write()
    return claim._owner


def of_process(process: subprocess.Popen) -> dict:
    return {"pid": process.pid, "started": psutil.Process(process.pid).create_time()}


def test_the_state_of_a_running_process_is_refused_until_the_process_ends(location, process):
    write_owner(location, **of_process(process))
    with pytest.raises(CheckpointError, match=IN_USE):
        State(location, "job")
    process.kill()  # it stays a zombie, as nobody waits for it
    State(location, "job").save(TREE, {"step": 1})
    assert State(location, "job").restore(TREE)


def test_a_process_with_the_number_of_a_dead_owner_is_not_the_owner(location, process):
    write_owner(location, pid=process.pid, started=1.0)
    State(location, "job").save(TREE, {"step": 1})


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances only while a process waits; the functions of `waits` are called."""
    now, waits = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds
        for wait in waits:
            wait(now[0])

    monkeypatch.setattr(ownership, "monotonic", lambda: now[0])
    monkeypatch.setattr(ownership, "sleep", sleep)
    return now, waits


def test_a_silent_owner_on_another_machine_loses_the_state_after_a_minute(location, clock):
    now, _ = clock
    write_owner(location, machine="another")
    State(location, "job").save(TREE, {"step": 1})
    assert now[0] <= ownership.SILENT_SECONDS + 6.0


def test_a_live_owner_on_another_machine_keeps_the_state(location, clock):
    now, waits = clock
    waits.append(lambda at: write_owner(location, machine="another", renewals=int(at) // 10))
    write_owner(location, machine="another")
    with pytest.raises(CheckpointError, match=IN_USE):
        State(location, "job")
    assert now[0] <= 2 * ownership.SILENT_SECONDS + 6.0


def test_an_owner_that_is_being_stopped_elsewhere_is_waited_for(location, clock):
    now, waits = clock
    waits.append(
        lambda at: at < 30 and write_owner(location, machine="another", renewals=int(at) // 10)
    )
    write_owner(location, machine="another")
    State(location, "job").save(TREE, {"step": 1})
    assert now[0] < 30 + ownership.SILENT_SECONDS + 6.0


def test_a_process_that_lost_the_state_does_not_write_it(location, process):
    state = State(location, "job")
    state.save(TREE, {"step": 1})
    write_owner(location, **of_process(process))
    with pytest.raises(CheckpointError, match=r"is now owned by process \d+ .* stops without"):
        state.save(TREE, {"step": 2})
    process.kill()
    _, progress = State(location, "job").restore(TREE)
    assert progress == {"step": 1}


def test_an_owner_renews_its_file_and_removes_it_in_the_end(location, monkeypatch):
    monkeypatch.setattr(ownership, "RENEW_SECONDS", 0.02)
    monkeypatch.setenv("PROMPTSCALE_KEEP_STATE", "1")
    folder, _, key = location.rpartition("/")
    store = Store(folder)
    state = State(location, "job")
    first = store.read(f"{key}.owner")
    for _ in range(500):
        if store.read(f"{key}.owner") != first:
            break
        ownership.sleep(0.01)
    assert store.read(f"{key}.owner") not in (first, None)
    state.save(TREE, {"step": 1})
    state.delete()
    assert store.read(f"{key}.owner") is None and store.read(f"{key}.0") is not None


def test_a_damaged_owner_file_stops_nobody(location):
    folder, _, key = location.rpartition("/")
    Store(folder).write(f"{key}.owner", b"{")
    State(location, "job").save(TREE, {"step": 1})
