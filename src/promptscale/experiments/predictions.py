"""Collects the predictions that all runs left: counts of their outcomes, and some of the texts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from promptscale.config.jobs import AnyJob
from promptscale.config.tasks import Task
from promptscale.config.tasks import task as task_named
from promptscale.data.prepared import read_rows
from promptscale.evaluation.metrics import INVALID, class_id
from promptscale.reporting import predictions

EXAMPLES = 20  # of each task, spread evenly over its validation split


def outcome(task: Task, prediction: str, correct: bool) -> str:
    """The outcome of a prediction: `right`, `wrong`, or `illegal` if it is no label of the task."""
    if correct:
        return "right"
    legal = not task.labels or class_id(task, prediction) != INVALID
    return "wrong" if legal else "illegal"


def collect(parts: Sequence[tuple[AnyJob, Path]], paths: Mapping[str, Path]) -> None:
    """Writes the tables `outcomes`, `examples` and `predictions` (`reporting.predictions`).

    All runs of a task answer the same validation split, so the chosen examples are the same.

    Args:
      parts: the jobs, each with the folder of its predictions.
      paths: the path of each table.
    Raises:
      DataError: predictions are missing or damaged.
    """
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in predictions.SCHEMAS}
    for job, folder in parts:
        for run in job.runs:
            name = job.run_name(run)
            files = sorted((folder / run.task / f"seed_{run.seed}").glob("*.jsonl"))
            for file in files:
                task = task_named(file.stem)
                rows = read_rows(file, ("id", "inputs", "targets", "prediction"))
                outcomes = [outcome(task, row["prediction"], row["correct"]) for row in rows]
                described = {"run": name, "eval_task": task.name}
                counts = Counter(outcomes)
                tables["outcomes"].append({
                    **described,
                    **{key: counts[key] for key in predictions.OUTCOMES},
                    "origin": job.origin,
                    "label": job.label,
                })  # fmt: skip
                for place in _places(len(rows)):
                    row = {**described, **rows[place], "outcome": outcomes[place]}
                    tables["examples"].append(row)
                    tables["predictions"].append(row)
    for name, listed in tables.items():
        frame = pd.DataFrame(listed)
        if name == "examples":
            frame = frame.drop_duplicates(["eval_task", "id"])
        predictions.write(name, frame, paths[name])


def _places(count: int) -> list[int]:
    """The places of the chosen examples in a split of `count` examples."""
    return np.unique(np.linspace(0, count - 1, min(count, EXAMPLES)).astype(int)).tolist()
