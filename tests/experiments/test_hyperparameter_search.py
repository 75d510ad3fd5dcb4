"""The table of a hyperparameter search."""

import pandas as pd
import pytest

from promptscale.config.jobs import PromptTuningJob
from promptscale.config.settings import EvaluationSettings, Optimizer, PromptTuning
from promptscale.experiments.hyperparameter_search import collect
from promptscale.reporting.runs_table import write_runs
from tests import tiny


def test_a_trials_score_is_its_mean_over_tasks_at_the_selected_step(tmp_path):
    """Two jobs of other batch sizes; the best trial is the first row."""
    rates = (0.1, 0.3)
    scores = {16: {0: (50, 60), 1: (90, 80)}, 32: {0: (70, 70), 1: (10, 20)}}
    parts = []
    for batch_size, by_trial in scores.items():
        job = PromptTuningJob(
            origin="generated", label="Miniature", size="tiny", architecture=tiny.architecture(),
            checkpoint="lm_4", tasks=("boolq", "rte"), seeds=(0,), evaluation=EvaluationSettings(),
            settings=PromptTuning(
                prompt_length=4, batch_size=batch_size, steps=10,
                optimizer=Optimizer(learning_rate=0.3),
            ),
            trials=tuple(Optimizer(learning_rate=rate, warmup_steps=2) for rate in rates),
        )  # fmt: skip
        rows = [
            {
                **job.description,
                "run": job.run_name(run),
                "task": run.task,
                "eval_task": run.task,
                "seed": run.seed,
                "step": step,
                "metric": "score",
                "value": by_trial[run.trial][job.tasks.index(run.task)] if step == 5 else 0.0,
                "selected": step == 5,
                "wall_seconds": 1.0,
                "accelerator_seconds": 1.0,
            }
            for run in job.runs
            for step in (5, 10)
        ]
        if batch_size == 32:  # both runs of the second trial diverged
            rows += [row | {"metric": "diverged", "value": 1.0} for row in rows if row["selected"]
                     and "trial_1" in row["run"]]  # fmt: skip
        path = tmp_path / f"{batch_size}.csv"
        write_runs([pd.DataFrame(rows)], path)
        parts.append((job, path))
    collect(parts, tmp_path / "trials.csv")
    table = pd.read_csv(tmp_path / "trials.csv")
    assert list(table["trial"]) == [1, 2, 3, 4]
    assert list(table["score"]) == pytest.approx([85, 70, 55, 15])
    assert list(table["diverged"]) == [0, 0, 0, 2]
    assert list(table["batch_size"]) == [16, 32, 16, 32]
    assert list(table["learning_rate"]) == pytest.approx([0.3, 0.1, 0.1, 0.3])
    assert set(table["steps"]) == {10} and set(table["warmup_steps"]) == {2}
    assert table["decay_factor"].isna().all() and not table["parameter_scaling"].any()
