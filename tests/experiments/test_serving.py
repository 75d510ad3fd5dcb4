"""Serving with several prompts on a frozen model: tasks (Figure 2), and an ensemble."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from promptscale.config.jobs import PromptTuningJob
from promptscale.config.settings import EvaluationSettings, Optimizer, PromptTuning
from promptscale.distributed import mesh
from promptscale.experiments import serving
from tests import tiny

TASKS, SEEDS = ("boolq", "rte"), (0, 1, 2)


@pytest.fixture
def folder(tmp_path) -> Path:
    draw = np.random.default_rng(0)
    tiny.write_checkpoint(tmp_path / "checkpoint", tiny.architecture())
    for task in TASKS:
        tiny.write_task(tmp_path / task, draw)
        for seed in SEEDS:
            prompt = draw.normal(size=(4, 16)).astype(np.float32)
            np.save(tmp_path / f"{task}_{seed}.npy", prompt)
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
        prompts={task: [folder / f"{task}_{seed}.npy" for seed in SEEDS] for task in TASKS},
        validation={task: folder / task / "validation" for task in TASKS},
        table=folder / "serving.csv",
    )
    serving.run(job, files)
    return pd.read_csv(folder / "serving.csv")


def test_a_mixed_batch_gets_the_answers_of_separate_batches(folder, monkeypatch):
    """However many requests arrive together; throughput is requests by seconds."""
    seconds = iter(range(1000))  # the clock counts a second at each look
    monkeypatch.setattr(serving.time, "perf_counter", lambda: float(next(seconds)))
    table = serve(folder)
    assert list(table["per_prompt"]) == [1, 4, 16] * 2
    assert list(table["work"]) == ["tasks"] * 3 + ["ensemble"] * 3
    assert list(table["prompts"]) == [2] * 3 + [3] * 3 and set(table["size"]) == {"tiny"}
    assert list(table["requests"]) == [128] * 3 + [192] * 3
    assert set(table["identical"]) == {1.0} and set(table["device"]) == {"cpu"}
    assert list(table["together_per_second"]) == list(table["requests"])
    assert list(table["separate_per_second"]) == list(table["requests"])


def test_an_ensemble_asks_each_of_its_prompts_the_same(folder, monkeypatch):
    """All prompts of the first task, for the same inputs of this task."""
    make, calls = serving.generator, []

    def recorded(*arguments):
        generate = make(*arguments)

        def answer(params, prompts, run, inputs, limits):
            calls.append((prompts, run, inputs))
            return generate(params, prompts, run, inputs, limits)

        return answer

    monkeypatch.setattr(serving, "generator", recorded)
    monkeypatch.setattr(serving, "BATCHES", (4,))
    serve(folder)
    prompts, run, inputs = next(call for call in calls if len(call[0]) == len(SEEDS))
    saved = [np.load(folder / f"{TASKS[0]}_{seed}.npy") for seed in SEEDS]
    np.testing.assert_array_equal(prompts, saved)
    np.testing.assert_array_equal(run, np.repeat([0, 1, 2], 4))
    np.testing.assert_array_equal(inputs.reshape(3, 4, -1), [inputs[:4]] * 3)


def test_the_agreement_is_the_share_of_requests_that_are_answered_alike(folder, monkeypatch):
    """Half of them, where separate batches of the second of two tasks get other answers."""
    make, second = serving.generator, np.load(folder / f"{TASKS[1]}_0.npy")

    def wrong_for_the_second_task(*arguments):
        generate = make(*arguments)

        def answer(params, prompts, run, inputs, limits):
            ids = generate(params, prompts, run, inputs, limits)
            return ids + 1 if np.all(np.asarray(prompts)[run] == second) else ids

        return answer

    monkeypatch.setattr(serving, "generator", wrong_for_the_second_task)
    monkeypatch.setattr(serving, "BATCHES", (16,))
    assert list(serve(folder)["identical"]) == [0.5, 1.0]


def test_a_batch_has_a_bounded_number_of_positions(folder, monkeypatch):
    """Prompts of 4 tokens and inputs of at most 16: 40 positions for a request of each task."""
    monkeypatch.setattr(mesh, "_DECODED_POSITIONS", {"cpu": 4 * 40})
    table = serve(folder)
    assert list(table.loc[table["work"] == "tasks", "per_prompt"]) == [1, 4]
    monkeypatch.setattr(mesh, "_DECODED_POSITIONS", {"cpu": 1})
    assert list(serve(folder)["per_prompt"]) == [1, 1]
