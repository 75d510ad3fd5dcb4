"""The table of a hyperparameter search."""

import pandas as pd
import pytest

from promptscale.config.jobs import ModelTuningJob, PromptTuningJob, Trial
from promptscale.config.settings import (
    EvaluationSettings,
    ModelTuning,
    Optimizer,
    PromptTuning,
)
from promptscale.experiments.hyperparameter_search import collect
from promptscale.reporting.runs_table import write_runs
from tests import tiny

PROMPTS = PromptTuning(
    prompt_length=4, batch_size=16, steps=10, optimizer=Optimizer(learning_rate=0.3)
)
MODEL = ModelTuning(batch_size=32, steps=10, optimizer=Optimizer(learning_rate=0.3))


def searched(kind, settings, tasks, rates):
    """A job of trials with these learning rates, by the trials' numbers."""
    return kind(
        origin="generated", label="Miniature", size="tiny", architecture=tiny.architecture(),
        checkpoint="lm_4", tasks=tasks, seeds=(0,), evaluation=EvaluationSettings(),
        settings=settings,
        trials=tuple(
            Trial(number=number, optimizer=Optimizer(learning_rate=rate, warmup_steps=2))
            for number, rate in rates.items()
        ),
    )  # fmt: skip


def test_a_trials_score_is_its_mean_over_tasks_at_the_selected_step(tmp_path):
    """A job of two trials of prompt tuning, and a trial of model tuning with a job per task."""
    tasks = ("boolq", "rte")
    jobs = [searched(PromptTuningJob, PROMPTS, tasks, {0: 0.1, 3: 0.3})]
    jobs += [searched(ModelTuningJob, MODEL, (task,), {0: 0.1}) for task in tasks]
    scores = {
        ("prompt_tuning", 0): (50, 60), ("prompt_tuning", 3): (90, 80),
        ("model_tuning", 0): (10, 20),
    }  # fmt: skip
    parts = []
    for number, job in enumerate(jobs):
        rows = [
            {
                **job.description,
                "run": job.run_name(run),
                "task": run.task,
                "eval_task": run.task,
                "seed": run.seed,
                "step": step,
                "metric": "score",
                "value": scores[job.method, run.trial][tasks.index(run.task)] if step == 5 else 0.0,
                "selected": step == 5,
                "wall_seconds": 1.0,
                "accelerator_seconds": 1.0,
            }
            for run in job.runs
            for step in (5, 10)
        ]
        if job.method == "model_tuning":  # both runs of the trial diverged
            rows += [row | {"metric": "diverged", "value": 1.0} for row in rows if row["selected"]]
        path = tmp_path / f"{number}.csv"
        write_runs([pd.DataFrame(rows)], path)
        parts.append((job, path))
    collect(parts, tmp_path / "trials.csv")
    table = pd.read_csv(tmp_path / "trials.csv")
    assert list(table["trial"]) == [1, 2, 3]
    assert list(table["score"]) == pytest.approx([85, 55, 15])
    assert list(table["diverged"]) == [0, 0, 2]
    assert list(table["method"]) == ["prompt_tuning", "prompt_tuning", "model_tuning"]
    assert list(table["batch_size"]) == [16, 16, 32]
    assert list(table["learning_rate"]) == pytest.approx([0.3, 0.1, 0.1])
    assert set(table["steps"]) == {10} and set(table["warmup_steps"]) == {2}
    assert table["decay_factor"].isna().all() and not table["parameter_scaling"].any()
