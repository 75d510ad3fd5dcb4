"""Runs made by hand, so that every figure and table is tested on known numbers."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from promptscale.config.tasks import TASKS
from promptscale.reporting.context import Context
from promptscale.reporting.provenance import Provenance
from promptscale.reporting.runs_table import columns

STEPS = (100, 200, 300)
SETTING = {
    "prompt_length": 20, "initialization": "class_label", "objective": "lm_adaptation",
    "adaptation_steps": 400,
}  # fmt: skip
MINIATURE, PAPER = Provenance("generated", "Miniature"), Provenance("real", "T5 1.1")


def run_rows(
    method: str,
    size: str,
    task: str,
    seed: int,
    score: float,
    length: int = 20,
    source: Provenance = MINIATURE,
    eval_tasks: tuple[str, ...] = (),
) -> list[dict]:
    """A run whose score is half of `score`, then all of it (selected), then a point less."""
    tuned = method == "prompt_tuning"
    adapted = method in ("prompt_tuning", "prompt_design")
    rows = []
    for eval_task in eval_tasks or (task,):
        for step, value in zip(STEPS, (score / 2, score, score - 1), strict=True):
            for metric in (*TASKS[eval_task].metrics, "score", "loss"):
                rows.append({
                    "run": f"{method}/{size}/{task}/{length if tuned else 0}/{seed}",
                    "method": method,
                    "size": size,
                    "task": task,
                    "eval_task": eval_task,
                    "checkpoint": "lm_400" if adapted else "span_corruption",
                    "objective": "lm_adaptation" if adapted else "span_corruption",
                    "adaptation_steps": 400 if adapted else 0,
                    "prompt_length": length if tuned else 0,
                    "initialization": "class_label" if tuned else "",
                    "pretraining_seed": 0,
                    "seed": seed,
                    "step": step,
                    "metric": metric,
                    "value": 1.5 if metric == "loss" else value,
                    "selected": step == 200,
                    "wall_seconds": step * 36.0 + seed,
                    "accelerator_seconds": 8 * (step * 36.0 + seed),
                    **source._asdict(),
                })  # fmt: skip
    return rows


def made(
    runs: pd.DataFrame | None = None,
    neighbours: pd.DataFrame | None = None,
    default: dict = SETTING,
    tables: Mapping[str, Path] | None = None,
    convergence_task: str = "boolq",
    paper_curves: bool = False,
) -> Context:
    """A context whose runs and neighbours are these tables and not read from files."""
    context = Context(
        tables or {}, default, convergence_task=convergence_task, paper_curves=paper_curves
    )
    majority = pd.Series(42.5, index=list(TASKS))
    vars(context).update(
        runs=runs, interpretability=neighbours, neighbours=neighbours, majority=majority
    )
    return context


Maker = Callable[..., pd.DataFrame]


@pytest.fixture
def setting() -> dict:
    """The default setting of the runs made by hand."""
    return SETTING


@pytest.fixture
def make_runs() -> Maker:
    """Makes runs over a grid; a score is 50, 60, 70 by size, plus seed, less 10 for a token."""

    def make(
        sizes=("mini-small", "mini-large", "mini-xxl"),
        tasks=("boolq", "squad"),
        seeds=(0, 1, 2),
        lengths=(1, 20),
        methods=("prompt_tuning", "model_tuning"),
        source=MINIATURE,
    ) -> pd.DataFrame:
        rows = []
        for place, size in enumerate(sizes):
            for seed in seeds:
                for task in tasks:
                    score = 50.0 + 10 * place + seed
                    for length in lengths:
                        lost = 10 if length == 1 else 0
                        rows += run_rows(
                            "prompt_tuning", size, task, seed, score - lost, length, source
                        )
                    if "model_tuning" in methods:
                        rows += run_rows("model_tuning", size, task, seed, score + 5, source=source)
                if "model_tuning_multitask" in methods:
                    rows += run_rows(
                        "model_tuning_multitask", size, "super_glue", seed, score + 6,
                        source=source, eval_tasks=tasks,
                    )  # fmt: skip
        return pd.DataFrame(rows, columns=columns())

    return make
