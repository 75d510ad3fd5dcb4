"""Counts the examples and labels of splits (Tables 7 to 16) and scores constant answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from promptscale.config.tasks import Task
from promptscale.config.tasks import task as task_named
from promptscale.data.prepared import read
from promptscale.evaluation.metrics import majority_score
from promptscale.storage.atomic import atomic_write


def split_statistics(task: Task, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts a prepared split as the paper does.

    ReCoRD is counted in queries, MultiRC in pairs of question and answer, WSC's training split
    after its filter.

    Returns:
      `examples`, and `labels`: the number of examples of each label, in the order of the classes;
      empty for tasks without a label distribution (question answering, ReCoRD, DPR).
    """
    if task.kind == "record":
        return {"examples": len({row["group"] for row in rows}), "labels": {}}
    names = ("False", "True") if task.name == "wsc" else task.labels
    counts = [sum(row["label"] == label for row in rows) for label in range(len(names))]
    return {"examples": len(rows), "labels": dict(zip(names, counts, strict=True))}


def write(splits: Sequence[Path], datasets: Path, majority: Path) -> None:
    """Writes two tidy tables about prepared splits; a split is given by its prefix `TASK/SPLIT`.

    `datasets` has a row per task, split and label (`task,split,examples,label,count`; the label is
    empty where a task has none). `majority` has the score of the best constant answer on each
    validation split (`task,score`).
    """
    counts, floors = [], []
    for prefix in splits:
        task, split = task_named(prefix.parent.name), prefix.name
        rows = read(prefix).rows()
        statistics = split_statistics(task, rows)
        labels = statistics["labels"] or {"": statistics["examples"]}
        counts += [(task.name, split, statistics["examples"], *pair) for pair in labels.items()]
        if split == "validation":
            floors.append((task.name, majority_score(task, rows)["score"]))
    tables = {
        datasets: pd.DataFrame(counts, columns=["task", "split", "examples", "label", "count"]),
        majority: pd.DataFrame(floors, columns=["task", "score"]),
    }
    for path, table in tables.items():
        with atomic_write(path) as partial:
            table.to_csv(partial, index=False)
