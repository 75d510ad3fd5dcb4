"""Serving one frozen model to several tasks at once (Figure 2)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from promptscale.config.jobs import PromptTuningJob
from promptscale.config.settings import EvaluationSettings, Optimizer, PromptTuning
from promptscale.distributed import mesh
from promptscale.experiments import serving
from tests import tiny

TASKS = ("boolq", "rte")


@pytest.fixture
def folder(tmp_path) -> Path:
    draw = np.random.default_rng(0)
    tiny.write_checkpoint(tmp_path / "checkpoint", tiny.architecture())
    for task in TASKS:
        tiny.write_task(tmp_path / task, draw)
        np.save(tmp_path / f"{task}.npy", draw.normal(size=(4, 16)).astype(np.float32))
    return tmp_path


def serve(folder: Path) -> pd.DataFrame:
    """Runs the demonstration and reads its table."""
    job = PromptTuningJob(
        origin="generated", label="Miniature", size="tiny", architecture=tiny.architecture(),
        checkpoint="span_corruption", tasks=TASKS, seeds=(0,), evaluation=EvaluationSettings(),
        settings=PromptTuning(
            prompt_length=4, steps=1, batch_size=1, optimizer=Optimizer(learning_rate=0.3)
        ),
    )  # fmt: skip
    files = serving.Files(
        checkpoint=str(folder / "checkpoint"),
        prompts={task: folder / f"{task}.npy" for task in TASKS},
        validation={task: folder / task / "validation" for task in TASKS},
        table=folder / "serving.csv",
    )
    serving.run(job, TASKS, files)
    return pd.read_csv(folder / "serving.csv")


def test_a_mixed_batch_gets_the_answers_of_separate_batches(folder, monkeypatch):
    """However many requests arrive together; throughput is requests by seconds."""
    seconds = iter(range(1000))  # the clock counts a second at each look
    monkeypatch.setattr(serving.time, "perf_counter", lambda: float(next(seconds)))
    table = serve(folder)
    assert list(table["per_task"]) == [1, 4, 16]
    assert set(table["size"]) == {"tiny"} and set(table["tasks"]) == {len(TASKS)}
    assert set(table["requests"]) == {128}
    assert set(table["identical"]) == {1.0}
    assert set(table["mixed_per_second"]) == set(table["separate_per_second"]) == {128.0}


def test_the_agreement_is_the_share_of_requests_that_are_answered_alike(folder, monkeypatch):
    """Half of them, where separate batches of the second of two tasks get other answers."""
    make, second = serving.generator, np.load(folder / f"{TASKS[1]}.npy")

    def wrong_for_the_second_task(*arguments):
        generate = make(*arguments)

        def answer(params, prompts, run, inputs, limits):
            ids = generate(params, prompts, run, inputs, limits)
            return ids + 1 if np.all(prompts[run] == second) else ids

        return answer

    monkeypatch.setattr(serving, "generator", wrong_for_the_second_task)
    monkeypatch.setattr(serving, "BATCHES", (16,))
    assert list(serve(folder)["identical"]) == [0.5]


def test_a_batch_has_a_bounded_number_of_positions(folder, monkeypatch):
    """Two tasks with 4 prompt positions and inputs of at most 16: 40 for a request of each."""
    monkeypatch.setattr(mesh, "_DECODED_POSITIONS", {"cpu": 4 * 40})
    assert list(serve(folder)["per_task"]) == [1, 4]
    monkeypatch.setattr(mesh, "_DECODED_POSITIONS", {"cpu": 1})
    assert list(serve(folder)["per_task"]) == [1]
