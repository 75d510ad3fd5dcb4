"""What Tables 7 to 16 state about a split: how many examples it has, and how its labels divide."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptscale.config.tasks import Task


def split_statistics(task: Task, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts one prepared split as the paper does.

    ReCoRD is counted in queries, MultiRC in pairs of question and answer, WSC's training split
    after its filter.

    Returns:
      `examples`, and `labels`: the share of each label in percent, in the order of the classes;
      empty for tasks without a label distribution (question answering, ReCoRD, DPR).
    """
    if task.kind == "record":
        return {"examples": len({row["group"] for row in rows}), "labels": {}}
    names = ("False", "True") if task.name == "wsc" else task.labels
    counts = [sum(row["label"] == label for row in rows) for label in range(len(names))]
    shares = {name: 100 * count / len(rows) for name, count in zip(names, counts, strict=True)}
    return {"examples": len(rows), "labels": shares}
