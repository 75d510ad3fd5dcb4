"""The logger: a display on a terminal, lines elsewhere, and nothing after a closed pipe."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

import snakemake_logger_plugin_promptscale as logger
from snakemake_logger_plugin_promptscale import display
from snakemake_logger_plugin_promptscale import progress as progress_module

REPOSITORY = Path(__file__).parents[2]
SETTINGS = SimpleNamespace(dryrun=False)


def record(event: LogEvent | None, level: int = logging.INFO, **fields) -> logging.LogRecord:
    made = logging.makeLogRecord({"levelno": level, "msg": "a message", "args": ()})
    made.__dict__.update(event=event, **fields)
    return made


def start(job: int, events: str = "") -> logging.LogRecord:
    return record(
        LogEvent.JOB_INFO, jobid=job, rule_name="tune", rule_msg=f"job {job}",
        log=[f"logs/{job}.log"], resources={"events": events},
    )  # fmt: skip


def events_of_a_running_job(path) -> str:
    lines = [
        {"event": "started", "time": time.time()},
        {"event": "step", "time": time.time() + 600, "step": 20, "steps": 80, "loss": 1.25},
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(path)


@pytest.fixture
def handler():
    made = logger.LogHandler(SETTINGS, None)
    made.emit(record(LogEvent.RUN_INFO, stats={"tune": 3, "total": 3}))
    yield made
    made.close()


def test_a_plain_stream_gets_lines_about_running_jobs(handler, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(display, "_LINE_SECONDS", 0.05)
    handler.emit(start(1, events_of_a_running_job(tmp_path / "events.jsonl")))
    handler.emit(start(2, str(tmp_path / "absent.jsonl")))
    text = ""
    while "now" not in text:
        time.sleep(0.01)
        text += capsys.readouterr().err
    handler.emit(record(LogEvent.JOB_FINISHED, job_id=1))
    handler.close()
    text += capsys.readouterr().err
    assert re.search(r"^\[0 of 3\] +start  job 1$", text, re.MULTILINE)
    assert re.search(r"^\[0 of 3\] +now    job 1: step 20 of 80, loss 1\.25", text, re.MULTILINE)
    assert re.search(r"^\[1 of 3\] .* done   job 1 \(\d+ s\)$", text, re.MULTILINE)
    assert "now    job 2" not in text and "\x1b" not in text


def test_events_of_an_earlier_attempt_are_not_shown(handler, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(display, "_LINE_SECONDS", 0.05)
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "step", "time": 5.0, "step": 3, "steps": 9}\n')
    handler.emit(start(1, str(path)))
    time.sleep(0.3)
    assert "now" not in capsys.readouterr().err


def test_failed_jobs_are_named_at_the_end_unless_another_attempt_succeeded(handler, capsys):
    for job in (1, 2):
        handler.emit(start(job))
        handler.emit(record(LogEvent.JOB_ERROR, jobid=job))
    handler.emit(start(1))
    handler.emit(record(LogEvent.JOB_FINISHED, job_id=1))
    handler.close()
    text = capsys.readouterr().err
    assert text.count("FAILED job") == 2 and "the end of logs/2.log" in text
    ending = "failed: job 2; its log is logs/2.log\n`promptscale status` says how far the run is.\n"
    assert text.endswith(ending) and "failed: job 1" not in text


PROGRAM = """
import sys, time
from tests.workflow import test_logger as t
handler = t.logger.LogHandler(t.SETTINGS, None)
handler.emit(t.record(t.LogEvent.RUN_INFO, stats={"tune": 3}))
handler.emit(t.start(1, sys.argv[1]))
time.sleep(float(sys.argv[2]))
handler.emit(t.record(t.LogEvent.JOB_FINISHED, job_id=1))
handler.close()
"""


def test_an_unknown_target_is_told_where_the_targets_are(handler, capsys):
    handler.emit(record(LogEvent.ERROR, logging.ERROR, msg="No rule to produce figure2 (if ...)."))
    handler.emit(record(LogEvent.ERROR, logging.ERROR, msg="Another error."))
    assert capsys.readouterr().err.count("config/README.md lists the targets") == 1


def test_a_terminal_shows_running_jobs_in_place(tmp_path):
    events = events_of_a_running_job(tmp_path / "events.jsonl")
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    command = [sys.executable, "-c", PROGRAM, events, "1"]
    process = subprocess.Popen(
        command, stderr=theirs, stdout=theirs, env=environment, cwd=REPOSITORY
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            output += os.read(ours, 4096)
        except OSError:  # the end of a terminal
            break
    assert process.wait() == 0
    text = output.decode()
    assert "step 20 of 80, loss 1.25" in text and "\x1b[" in text
    assert re.search(r"done   job 1", text)
    os.close(ours)


def test_a_closed_pipe_ends_nothing(tmp_path):
    """The workflow goes on, and its logger writes nowhere."""
    command = [sys.executable, "-c", PROGRAM, "", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=REPOSITORY)
    process.stderr.close()
    assert process.wait() == 0


def test_time_left_follows_a_rule_of_which_no_job_has_finished(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    progress = progress_module.Progress()
    progress.expect({"prepare": 2, "tune": 5, "total": 7})
    assert str(progress).split("]")[1].strip() == ""
    for job in (0, 1):
        progress.start(job, "prepare")
        now[0] += 10.0
        progress.finish(job)
    progress.start(2, "tune")
    assert str(progress).endswith("50 s left")  # five of the 10 s that finished jobs took
    now[0] += 60.0
    assert str(progress).endswith("9 min left")  # five of 120 s, without the 60 s that passed
    now[0] += 30.0
    progress.finish(2)
    progress.start(3, "tune")
    assert str(progress).endswith("6 min left")  # four of 90 s
    now[0] += 100.0
    assert str(progress).endswith("4 min left")  # three of 90 s: a late job counts as nearly done


def test_the_rules_of_unknown_length_take_the_geometric_mean_of_the_others(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    progress = progress_module.Progress()
    progress.expect({"tune": 1, "count": 1, "draw": 4, "total": 6})
    for job, (rule, seconds) in enumerate({"tune": 400.0, "count": 1.0}.items()):
        progress.start(job, rule)
        now[0] += seconds
        progress.finish(job)
    assert str(progress).endswith("80 s left")  # four of 20 s
