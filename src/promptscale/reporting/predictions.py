"""The tables of predictions: how many answers are right, wrong or illegal, and some of them.

`outcomes` counts all predictions of every run. `examples` has some validation examples of each
task, and `predictions` has what every run answered to them.
"""

import csv
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from promptscale.config.tasks import TASKS
from promptscale.reporting import csv_schema
from promptscale.reporting.csv_schema import at_least_zero, choice
from promptscale.storage.atomic import atomic_write

# An illegal output is no label of its task. It is wrong, too, but it is counted alone.
OUTCOMES = ("right", "wrong", "illegal")

_RUN_AND_TASK = {"run": pa.Column(None), "eval_task": choice(TASKS)}
SCHEMAS = {
    "outcomes": pa.DataFrameSchema(
        {
            **_RUN_AND_TASK,
            **{name: at_least_zero("int64") for name in OUTCOMES},
            "origin": pa.Column(None),
            "label": pa.Column(None),
        }
    ),
    "examples": pa.DataFrameSchema(
        {
            "eval_task": choice(TASKS),
            **{name: pa.Column(None) for name in ("id", "inputs", "targets")},
        }
    ),
    "predictions": pa.DataFrameSchema(
        {
            **_RUN_AND_TASK,
            **{name: pa.Column(None) for name in ("id", "prediction")},
            "outcome": choice(OUTCOMES),
        }
    ),
}
_KEYS = {
    "outcomes": ["run", "eval_task"],
    "examples": ["eval_task", "id"],
    "predictions": ["run", "eval_task", "id"],
}


def read(name: str, path: Path) -> pd.DataFrame:
    """Reads the table `name`: `outcomes`, `examples` or `predictions`.

    Raises:
      ResultsError: the table is missing or not well-formed.
    """
    return csv_schema.read(path, SCHEMAS[name], _KEYS[name])


def write(name: str, table: pd.DataFrame, path: Path) -> None:
    """Writes the table `name` atomically."""
    with atomic_write(path) as partial:
        columns = list(SCHEMAS[name].columns)
        # All texts are in quotes: a carriage return without them would end the row.
        table[columns].to_csv(
            partial, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
        )
