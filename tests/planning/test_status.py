"""The status of a grid in every state, made up from files."""

import json
import re
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptscale.cli import app
from promptscale.config import outputs
from promptscale.config.load import load_config
from promptscale.config.schema import Config, Hardware
from promptscale.errors import StorageError
from promptscale.planning import costs, counts
from promptscale.planning.job_progress import LOST_SECONDS
from promptscale.planning.status import GridJob, grid_jobs, grid_status
from promptscale.storage.store import open_parent
from tests.docs.test_docs import REPOSITORY
from tests.tpu.fake_bucket import FakeBucket, bucket_environment

SMALLEST = REPOSITORY / "tests/workflow/smallest.yaml"
NOW = 10_000.0


@pytest.fixture
def config(tmp_path, monkeypatch) -> Config:
    monkeypatch.chdir(tmp_path)
    return load_config(SMALLEST)


def record(config: Config, job: GridJob, *lines: tuple[float, str, dict]) -> None:
    store, key = open_parent(outputs.events(config, job.name))
    text = "".join(f"{json.dumps({'time': t, 'event': e, **f})}\n" for t, e, f in lines)
    store.write(key, text.encode())


def finish(job: GridJob) -> None:
    for output in map(Path, job.outputs):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()


def write_log(job: GridJob, text: str) -> str:
    path = Path(f"results/logs/{job.name}.log")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def of_kind(config: Config, kind: str) -> list[GridJob]:
    return [job for job in grid_jobs(config) if job.kind == kind]


def test_the_jobs_are_those_of_the_plan(config):
    """The rules whose jobs take time have as many jobs here as in the plan."""
    planned, kinds = counts.jobs(config), [job.kind for job in grid_jobs(config)]
    assert kinds.count("language_modeling") == planned["train_language_model"]
    assert kinds.count("prompt_tuning") == planned["train_prompts"]
    tuned = kinds.count("model_tuning") + kinds.count("model_tuning_multitask")
    assert tuned == planned["tune_model"]
    preparation = ("generate_world", "prepare_tasks", "prepare_text")
    assert kinds.count("preparation") == sum(planned[rule] for rule in preparation)
    names = [job.name for job in grid_jobs(config)]
    assert len(names) == len(set(names))


def test_without_files_everything_waits_and_the_plan_is_left(config):
    status = grid_status(config, NOW)
    assert len(status.of("waiting")) == len(status.jobs)
    planned = costs.estimate(config).total
    assert status.left.hours == pytest.approx(planned.hours)
    assert status.left.accelerator_hours == pytest.approx(planned.accelerator_hours)
    assert status.basis == "nothing" and status.spent.hours == 0
    assert "not known before the first training is done" in printed()
    priced = config.model_copy(update={"hardware": {"mini-small": Hardware(accelerator="h100")}})
    assert grid_status(priced, NOW).basis == "plan"


def test_a_job_whose_outputs_were_deleted_is_left_whole(config):
    planned = costs.estimate(config).total
    job = of_kind(config, "prompt_tuning")[0]
    record(config, job, (0.0, "started", {}), (3600.0, "finished", {}))
    status = grid_status(config, NOW)
    assert len(status.of("waiting")) == len(status.jobs)
    assert status.left.hours == pytest.approx(planned.hours)


def test_what_is_drawn_from_published_results_is_not_done(config):
    """Figures without the table of runs were drawn from the runs of others."""
    job = of_kind(config, "results")[0]
    drawn, runs = map(Path, job.outputs)
    drawn.parent.mkdir(parents=True, exist_ok=True)
    drawn.touch()
    assert not grid_status(config, NOW).of("done")
    runs.parent.mkdir(parents=True, exist_ok=True)
    runs.touch()
    assert [status.job.name for status in grid_status(config, NOW).of("done")] == [job.name]


def test_every_state_is_told_from_files(config):
    done, running, failed, lost, again = of_kind(config, "prompt_tuning")[:5]
    finish(done)
    record(config, done, (0.0, "started", {}), (3600.0, "finished", {}))
    step = {"step": 40, "steps": 160, "loss": 1.5}
    record(config, running, (NOW - 60, "started", {}), (NOW - 1, "step", step))
    error = {"error": "train_prompts: The data are bad."}
    record(config, failed, (NOW - 9, "started", {}), (NOW - 5, "failed", error))
    record(config, lost, (0.0, "started", {}), (NOW - LOST_SECONDS - 1, "step", step))
    log = write_log(lost, "a\nresource exhausted: out of memory\n\n")
    ended = [(0.0, "started", {}), (1.0, "failed", error)]
    record(config, again, *ended, (NOW - 2, "started", {}), (NOW - 1, "alive", {}))
    status = grid_status(config, NOW)
    assert [job.job.name for job in status.of("done")] == [done.name]
    assert [job.job.name for job in status.of("running")] == [running.name, again.name]
    first, second = status.of("failed")
    assert first.reason == "train_prompts: The data are bad."
    assert second.reason.startswith("It was killed") and second.log == log
    assert second.reason.endswith("Its log ends with: resource exhausted: out of memory")
    assert sum(sum(row.values()) for row in status.counts().values()) == len(status.jobs)
    assert status.counts()["prompt_tuning", done.size]["done"] == 1


def test_finished_jobs_correct_the_estimates_of_their_kind_and_size(config):
    """A job took ten times its estimate on two devices; those of its kind and size will, too."""
    jobs = of_kind(config, "prompt_tuning")
    done = jobs[0]
    finish(done)
    hours = 10 * costs.job_cost(config, done.planned).hours
    record(
        config, done, (0.0, "started", {}), (1.0, "job", {"devices": 2}),
        (3600 * hours, "finished", {}),
    )  # fmt: skip
    status = grid_status(config, NOW)
    assert status.basis == "finished jobs" and status.spent.hours == pytest.approx(hours)
    assert status.spent.accelerator_hours == pytest.approx(2 * hours)
    planned = costs.estimate(config).total.hours - costs.job_cost(config, done.planned).hours
    assert status.left.hours == pytest.approx(10 * planned)  # no other kind has finished
    half = jobs[1]
    step = {"step": 1, "steps": 2}
    record(config, half, (NOW - 2, "started", {}), (NOW - 1, "step", step))
    less = status.left.hours - grid_status(config, NOW).left.hours
    assert less == pytest.approx(5 * costs.job_cost(config, half.planned).hours)


def test_a_damaged_event_file_is_a_note_and_hides_no_other_job(config):
    damaged, strange, good = of_kind(config, "prompt_tuning")[:3]
    store, key = open_parent(outputs.events(config, damaged.name))
    store.write(key, b"\x00\xff\n")
    record(config, strange, (1.0, "started", {}), (2.0, "scores", {"run": 0, "scores": 7}))
    record(config, good, (NOW, "started", {}))
    status = grid_status(config, NOW)
    assert [job.job.name for job in status.of("running")] == [good.name]
    assert ["no event" in note or "another type" in note for note in status.notes] == [True, True]


@pytest.fixture
def bucket(monkeypatch):
    fake = FakeBucket()
    for name, value in bucket_environment(fake).items():
        monkeypatch.setenv(name, value)
    yield fake
    fake.stop()


def test_a_grid_whose_states_are_in_a_bucket(config, bucket):
    folder = f"gs://{uuid.uuid4()}/state"
    job = of_kind(config, "prompt_tuning")[0]
    paths = config.paths.model_copy(update={"state": folder})
    there = config.model_copy(update={"paths": paths})
    record(there, job, (NOW, "started", {"host": "tpu"}))
    for status in (grid_status(there, NOW), grid_status(config, NOW, folder)):
        (running,) = status.of("running")
        assert running.job.name == job.name and running.progress.host == "tpu"
    assert not grid_status(config, NOW).of("running")


def test_a_bucket_that_cannot_be_read_is_a_sentence(config, bucket, monkeypatch):
    bucket.forbids = lambda request, name: request == "read"
    with pytest.raises(StorageError, match=r"gs://.*/events/.* cannot be read"):
        grid_status(config, NOW, f"gs://{uuid.uuid4()}/state")


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["status", "--config", str(SMALLEST), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_names_what_runs_and_what_failed(config, monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)
    running, failed = of_kind(config, "prompt_tuning")[:2]
    record(
        config, running, (NOW - 60, "started", {}),
        (NOW - 1, "step", {"step": 40, "steps": 160, "loss": 1.5}),
    )  # fmt: skip
    record(config, failed, (NOW, "started", {}), (NOW, "failed", {"error": "Bad."}))
    text = printed()
    total = len(list(grid_jobs(config)))
    assert f"0 of {total} jobs are done, 1 run, 1 failed, {total - 2} wait." in text
    assert f"{running.name}: step 40 of 160, loss 1.5" in text
    assert f"{failed.name}: Bad. (results/logs/{failed.name}.log)" in text
    assert len(text.splitlines()) < 40
    found = json.loads(printed("--json"))
    assert found["counts"] == {"done": 0, "running": 1, "failed": 1, "waiting": total - 2}
    (job,) = [job for job in found["jobs"] if job["state"] == "running"]
    assert (job["name"], job["progress"]["step"]) == (running.name, 40)


def test_watching_ends_when_all_jobs_are_done(config, monkeypatch):
    """Without a terminal it prints the whole status, until a look finds no job left."""
    jobs = list(grid_jobs(config))
    monkeypatch.setattr("time.sleep", lambda seconds: [finish(job) for job in jobs])
    text = printed("--watch")
    assert f"0 of {len(jobs)} jobs are done" in text
    assert f"{len(jobs)} of {len(jobs)} jobs are done" in text
    assert re.search(r"runs.csv.* is empty", text), text
