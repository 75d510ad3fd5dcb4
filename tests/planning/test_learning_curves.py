"""Learning curves from event files, and TensorBoard's files of them, read back."""

import struct
import time
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event
from typer.testing import CliRunner

from promptscale.cli import app, tensorboard
from promptscale.planning.learning_curves import Point, learning_curves
from tests.planning.test_status import SMALLEST, config, of_kind, record  # noqa: F401

RUNS = ["boolq/seed_0", "boolq/seed_1"]


def step(seconds: float, number: int, loss: float | None) -> dict:
    return {"time": seconds, "event": "step", "step": number, "steps": 8, "loss": loss}


def scores(seconds: float, number: int, run: int, value: float | None) -> dict:
    by_task = {"boolq": {"accuracy": value, "score": value}}
    return {"time": seconds, "event": "scores", "step": number, "run": run, "scores": by_task}


JOB = {"time": 1.0, "event": "job", "runs": RUNS}


def test_curves_have_the_losses_of_the_job_and_the_scores_of_each_run():
    points = learning_curves([JOB, step(2.0, 4, 1.5), scores(3.0, 4, 1, 50.0)])
    assert points == [
        Point("", "loss", 4, 1.5, 2.0),
        Point("boolq/seed_1", "boolq/accuracy", 4, 50.0, 3.0),
        Point("boolq/seed_1", "boolq/score", 4, 50.0, 3.0),
    ]


def test_a_value_that_was_not_finite_is_no_point():
    assert learning_curves([JOB, step(2.0, 4, None), scores(3.0, 4, 0, None)]) == []


def test_steps_that_a_resumed_attempt_repeats_count_once():
    events = [JOB, step(2.0, 4, 1.5), step(3.0, 6, 1.0), JOB, step(12.0, 6, 1.25)]
    assert [(point.step, point.value) for point in learning_curves(events)] == [(4, 1.5), (6, 1.25)]


def written(folder: Path) -> list[tuple[str, int, float, float]]:
    """Tag, step, value and time of each scalar in TensorBoard's files of a folder."""
    scalars = []
    for file in sorted(folder.glob("events.out.tfevents.*")):
        content, at = file.read_bytes(), 0
        while at < len(content):  # a record: length, its checksum, content, its checksum
            (length,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + length])
            at += 12 + length + 4
            for value in event.summary.value:
                scalars.append((value.tag, event.step, value.simple_value, event.wall_time))
    return scalars


def as_lines(*events: dict) -> list[tuple[float, str, dict]]:
    return [(fields.pop("time"), fields.pop("event"), fields) for fields in map(dict, events)]


def test_tensorboard_has_each_point_once_however_often_the_command_runs(config):  # noqa: F811
    job = of_kind(config, "prompt_tuning")[0]
    start = {"time": 0.0, "event": "started"}
    record(config, job, *as_lines(start, JOB, step(2.0, 4, 1.5), scores(3.0, 4, 1, 50.0)))
    for _ in range(2):
        result = CliRunner().invoke(app, ["tensorboard", "curves", "--config", str(SMALLEST)])
        assert result.exit_code == 0 and "has the curves of 1 job;" in result.output
    assert written(Path("curves", job.name)) == [("loss", 4, 1.5, 2.0)]
    assert written(Path("curves", job.name, RUNS[1])) == [
        ("boolq/accuracy", 4, 50.0, 3.0),
        ("boolq/score", 4, 50.0, 3.0),
    ]


def test_a_watch_adds_what_a_job_records_meanwhile(config, monkeypatch):  # noqa: F811
    job, now = of_kind(config, "prompt_tuning")[0], time.time() // 1
    first = [{"time": now, "event": "started"}, {**JOB, "time": now}, step(now, 4, 1.5)]
    record(config, job, *as_lines(*first))
    looks = iter([first, [*first, step(now + 1, 8, 1.25), {"time": now + 2, "event": "finished"}]])

    def next_look(seconds: float) -> None:
        events = next(looks, None)
        if events is None:
            raise KeyboardInterrupt
        record(config, job, *as_lines(*events))

    monkeypatch.setattr(tensorboard.time, "sleep", next_look)
    command = ["tensorboard", "curves", "--config", str(SMALLEST), "--watch"]
    CliRunner().invoke(app, command)
    losses = [("loss", 4, 1.5, now), ("loss", 8, 1.25, now + 1)]
    assert written(Path("curves", job.name)) == losses


def test_a_folder_that_cannot_be_made_is_a_sentence(config):  # noqa: F811
    Path("curves").touch()
    result = CliRunner().invoke(app, ["tensorboard", "curves", "--config", str(SMALLEST)])
    assert result.exit_code == 1
    assert "The curves cannot be written to curves: File exists." in str(result.exception.args)


def test_an_event_file_with_a_wrong_field_is_a_sentence(config):  # noqa: F811
    job = of_kind(config, "prompt_tuning")[0]
    record(config, job, *as_lines({"time": 0.0, "event": "started"}, scores(3.0, 4, 7, 50.0)))
    result = CliRunner().invoke(app, ["tensorboard", "curves", "--config", str(SMALLEST)])
    assert result.exit_code == 1
    assert f"The event file of the job {job.name} lacks a field" in str(result.exception.args)


@pytest.mark.parametrize("command", ["status", "tensorboard"])
def test_help_has_an_example(command):
    assert f"promptscale {command} " in CliRunner().invoke(app, [command, "--help"]).output
