"""Event files: what a job did, attempt by attempt, whatever happens to it."""

import logging
import math
import os
import subprocess
import sys
import time
import uuid

import numpy as np
import pytest

from promptscale.errors import StorageError
from promptscale.storage import events
from promptscale.storage.events import EventFile, event, parse_events, read_events
from promptscale.storage.store import open_parent
from tests.tpu.fake_bucket import FakeBucket, bucket_environment

log = logging.getLogger("tests.events")


@pytest.fixture(params=["local", "bucket"])
def location(request, tmp_path, monkeypatch):
    bucket = FakeBucket()
    for name, value in bucket_environment(bucket).items():
        monkeypatch.setenv(name, value)
    local = str(tmp_path / "state/events/job.jsonl")
    yield local if request.param == "local" else f"gs://{uuid.uuid4()}/state/events/job.jsonl"
    bucket.stop()


@pytest.fixture
def attempt(location):
    """Makes an attempt that logs some records and ends, or is killed before it can close."""
    log.setLevel(logging.INFO)

    def make(*records: dict, killed: bool = False) -> None:
        file = EventFile(location, rule="tune")
        log.addHandler(file)
        for record in records:
            log.info("a text", extra=record)
        log.removeHandler(file)
        if killed:
            file._write()  # what the thread does every second
            file._closed.set()
        else:
            file.record("finished")
            file.close()

    return make


def names(location: str) -> list[str]:
    return [line["event"] for line in read_events(*open_parent(location))]


def test_records_with_an_event_become_lines_and_others_do_not(attempt, location):
    attempt(event("step", step=np.int32(3), loss=np.float32(1.5)), {}, event("scores", scores={}))
    started, step, scores, finished = read_events(*open_parent(location))
    assert (started["rule"], started["attempt"]) == ("tune", 1)
    assert (step["step"], step["loss"]) == (3, 1.5) and scores["scores"] == {}
    assert started["time"] <= step["time"] <= finished["time"] <= time.time()


def test_a_number_that_is_not_finite_is_null(attempt, location):
    attempt(event("step", loss=math.nan, losses=[np.float32(np.inf), 1.0]))
    line = read_events(*open_parent(location))[1]
    assert (line["loss"], line["losses"]) == (None, [None, 1.0])


def test_attempts_are_told_apart_until_one_has_finished(attempt, location):
    attempt(event("step", step=1), killed=True)
    attempt(event("step", step=2), killed=True)
    attempt(event("step", step=3))
    assert names(location) == [*["started", "step"] * 3, "finished"]
    lines = read_events(*open_parent(location))
    assert [line["attempt"] for line in lines if "attempt" in line] == [1, 2, 3]
    attempt()
    assert names(location) == ["started", "finished"]


def test_a_silent_job_says_that_it_is_alive_and_only_once(attempt, location, monkeypatch):
    monkeypatch.setattr(events, "ALIVE_SECONDS", 0.0)
    monkeypatch.setattr(events, "_LOCAL_SECONDS", 0.01)
    monkeypatch.setattr(events, "_BUCKET_SECONDS", 0.01)
    file = EventFile(location)
    first = last = time.time()
    while last <= first + 0.1:  # the line is renewed
        lines = read_events(*open_parent(location))
        assert [line["event"] for line in lines] in (["started"], ["started", "alive"])
        last = lines[-1]["time"]
    file.close()


def test_a_killed_attempt_keeps_the_time_of_its_last_sign_of_life(attempt, location):
    store, key = open_parent(location)
    store.write(key, b'{"event": "started", "time": 1.0}\n{"event": "alive", "time": 9.0}\n')
    attempt()
    assert names(location) == ["started", "alive", "started", "finished"]


def test_a_long_training_leaves_a_short_file_with_its_beginning_and_its_end(location):
    file = EventFile(location, rule="tune")
    file.record("job", steps=10**4)
    for step in range(10**4):
        file.record("step", step=step, loss=1.0, text="x" * 50)
    file.close()
    store, key = open_parent(location)
    assert len(store.read(key)) <= events.LARGEST
    lines = read_events(store, key)
    assert [line["event"] for line in lines[:2]] == ["started", "job"]
    steps = [line["step"] for line in lines[2:]]
    assert steps == sorted(steps) and steps[-100:] == list(range(10**4 - 100, 10**4))


def test_many_attempts_do_not_grow_a_file_without_end():
    lines = [{"event": "started", "time": n, "text": "x" * 1000} for n in range(1000)]
    shorter, content = events._bounded(lines)
    assert len(content) <= events.LARGEST and shorter[-1] == lines[-1]


def test_a_large_event_stays_and_others_follow(location):
    """A job of thousands of runs names them all in an event."""
    file = EventFile(location)
    file.record("job", runs=["x" * 100] * (events.LARGEST // 100))
    file._write()
    for step in range(10**4):
        file.record("step", step=step, text="x" * 100)
    file.close()
    assert names(location)[:2] == ["started", "job"] and names(location)[-2:] == ["step", "step"]
    store, key = open_parent(location)
    assert len(store.read(key)) < 3 * events.LARGEST


def test_a_large_last_event_ends_no_job():
    lines = [{"event": name, "time": 1.0} for name in ("started", "job")]
    lines.append({"event": "step", "time": 2.0, "text": "x" * 2 * events.LARGEST})
    assert events._bounded(lines)[0] == lines


def test_a_last_line_that_is_half_written_is_no_event_and_no_error():
    content = b'{"event": "started", "time": 1.5}\n{"event": "st'
    assert parse_events(content, "file") == [{"event": "started", "time": 1.5}]
    assert parse_events(None, "file") == parse_events(b"", "file") == []


def test_a_damaged_file_is_a_warning_and_replaced(attempt, location, caplog):
    store, key = open_parent(location)
    store.write(key, b"\xff\x00\n")
    with pytest.raises(StorageError, match=r"job.jsonl, line 1: this is no event"):
        read_events(store, key)
    attempt()
    assert "The job goes on" in caplog.text
    assert names(location) == ["started", "finished"]


def test_a_file_that_cannot_be_written_stops_no_job(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    file = EventFile(str(tmp_path / "file/job.jsonl"))
    file.record("step", step=1)
    file.close()
    assert caplog.text.count("The job goes on without telling its progress") == 1


SCRIPT = """
import logging, os, sys, time
from types import SimpleNamespace
from promptscale.errors import DataError
from promptscale.storage.events import event
from promptscale.workflow_script import script_setup

log = logging.getLogger("work")
resources = {"events": sys.argv[1]}
stand_in = SimpleNamespace(log=["log.txt"], threads=1, config={}, rule="work", resources=resources)
with script_setup(stand_in):
    log.info("first step", extra=event("step", step=1))
    match sys.argv[2]:
        case "killed":
            time.sleep(3)
            os.kill(os.getpid(), 9)
        case "refused":
            raise DataError("The data are bad.")
        case "broken":
            1 / 0
"""


def test_killed_refused_and_broken_attempts_of_a_script(tmp_path):
    """The primary process writes; a sentence and an exception end in the event `failed`."""
    location = str(tmp_path / "events/job.jsonl")
    (tmp_path / "script.py").write_text(SCRIPT)
    for how, process in [
        ("killed", "0"), ("good", "1"), ("refused", "0"), ("broken", "0"), ("good", "0"),
    ]:  # fmt: skip
        command = [sys.executable, "script.py", location, how]
        # A second process, which would connect to the first.
        environment = os.environ | {"JAX_PROCESS_ID": process}
        subprocess.run(command, cwd=tmp_path, env=environment, check=False)
    lines = read_events(*open_parent(location))
    lines = [line for line in lines if line["event"] != "alive"]
    ends = {"failed", "finished"}
    assert [line["event"] for line in lines] == [
        "started", "step", "started", "step", "failed", "started", "step", "failed",
        "started", "step", "finished",
    ]  # fmt: skip
    assert [line["error"] for line in lines if line["event"] in ends - {"finished"}] == [
        "work: The data are bad.", "ZeroDivisionError: division by zero",
    ]  # fmt: skip
    assert lines[0]["log"] == "log.txt" and lines[0]["versions"]["python"]
    assert "first step" in (tmp_path / "log.txt").read_text()
