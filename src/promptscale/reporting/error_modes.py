"""The counts of error modes: outputs that are labels, empty, sentinels, copies or other texts."""

from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from promptscale.reporting import csv_schema
from promptscale.reporting.csv_schema import at_least_zero, choice
from promptscale.storage.atomic import atomic_write

MODES = ("label", "empty", "sentinel", "copy", "other")  # `promptscale.evaluation.error_modes`
SCHEMA = pa.DataFrameSchema(
    {
        **dict.fromkeys(("size", "checkpoint", "objective"), pa.Column(None)),
        "adaptation_steps": at_least_zero("int64"),
        "task": pa.Column(None),
        "seed": at_least_zero("int64"),
        "mode": choice(MODES),
        "count": at_least_zero("int64"),
        "origin": pa.Column(None),
        "label": pa.Column(None),
    }
)


def read(path: Path) -> pd.DataFrame:
    """Reads the table, which has a row per run and mode.

    Raises:
      ResultsError: the table is missing or not well-formed.
    """
    return csv_schema.read(
        path, SCHEMA, ["size", "checkpoint", "objective", "task", "seed", "mode"]
    )


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes the table atomically."""
    with atomic_write(path) as partial:
        table[list(SCHEMA.columns)].to_csv(partial, index=False)
