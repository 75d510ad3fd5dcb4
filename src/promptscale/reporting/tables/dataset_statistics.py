"""Sizes and label counts of prepared datasets: the tidy table behind Tables 7-16."""

from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from promptscale.config.tasks import TASKS
from promptscale.errors import ResultsError
from promptscale.reporting import csv_schema
from promptscale.reporting.csv_schema import at_least_zero

_TASK = pa.Check.isin(list(TASKS), error=f"the tasks are {', '.join(TASKS)}")
_SPLITS = ["train", "validation", "test"]
_SPLIT = pa.Check.isin(_SPLITS, error="it must be train, validation or test")
SCHEMA = pa.DataFrameSchema(
    {
        "task": pa.Column(None, _TASK),
        "split": pa.Column(None, _SPLIT),
        "examples": at_least_zero("int64"),
        "label": pa.Column(None),  # empty for a task without labels
        "count": at_least_zero("int64"),
    }
)


def read(path: Path) -> pd.DataFrame:
    """Reads the statistics: a row per task, split and label, each with the split's `examples`.

    A task without labels has a row per split with an empty label.

    Raises:
      ResultsError: the table is missing or not well-formed; names file, line and column.
    """
    statistics = csv_schema.read(path, SCHEMA, ["task", "split", "label"])
    totals = statistics.groupby(["task", "split"])["examples"].nunique()
    for task, split in totals.index[totals > 1]:
        raise ResultsError(f"{path} gives {task} {split} two different numbers of examples.")
    return statistics
