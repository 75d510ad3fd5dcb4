"""Sizes and label counts of prepared datasets: the tidy table behind Tables 7-16."""

from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from promptscale.config.tasks import TASKS
from promptscale.errors import ResultsError
from promptscale.reporting import csv_schema


def _count() -> pa.Column:
    return pa.Column("int64", pa.Check.ge(0, error="it must be 0 or more"))


SCHEMA = pa.DataFrameSchema(
    {
        "task": pa.Column(
            None, pa.Check.isin(list(TASKS), error=f"the tasks are {', '.join(TASKS)}")
        ),
        "split": pa.Column(
            None,
            pa.Check.isin(
                ["train", "validation", "test"], error="it must be train, validation or test"
            ),
        ),
        "examples": _count(),
        "label": pa.Column(None),  # empty for a task without labels
        "count": _count(),
    },
    strict=True,
    ordered=True,
)


def read(path: Path) -> pd.DataFrame:
    """Reads the statistics: a row per task, split and label, each with the split's `examples`.

    A task without labels has a row per split with an empty label.

    Raises:
      ResultsError: the table is missing or not well-formed; names file, line and column.
    """
    statistics = csv_schema.read(path, SCHEMA)
    twice = statistics.duplicated(["task", "split", "label"])
    if twice.any():
        row = int(twice.to_numpy().argmax())
        label = statistics["label"].iloc[row]
        raise csv_schema.bad_cell(
            str(path), row, "label", label, "this task and split have it already"
        )
    totals = statistics.groupby(["task", "split"])["examples"].nunique()
    if (totals > 1).any():
        task, split = totals.index[int((totals > 1).to_numpy().argmax())]
        raise ResultsError(f"{path} gives {task} {split} two different numbers of examples.")
    return statistics
