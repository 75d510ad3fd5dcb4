"""The table of the neighbours of tuned prompts (section 7), a row per prompt."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from promptscale.reporting import csv_schema
from promptscale.reporting.csv_schema import at_least_zero, between, number
from promptscale.reporting.provenance import provenance
from promptscale.storage.atomic import atomic_write

SCHEMA = pa.DataFrameSchema(
    {
        "size": pa.Column(None),
        "task": pa.Column(None),
        "initialization": pa.Column(None),
        "prompt_length": pa.Column("int64", pa.Check.ge(1, error="it must be 1 or more")),
        "seed": at_least_zero("int64"),
        "origin": pa.Column(None),
        "label": pa.Column(None),
        "labels": at_least_zero("int64"),
        "labels_persisting": at_least_zero("int64"),
        "labels_found": at_least_zero("int64"),
        "rows_per_label": number("nan", checks=pa.Check.ge(1, error="it must be 1 or more")),
        "duplicates": between(0.0, 1.0),
        "duplicates_random": between(0.0, 1.0),
        "cohesion": between(-1.001, 1.001),
        "cohesion_random": between(-1.001, 1.001),
    }
)


def combine(paths: Sequence[Path], path: Path) -> None:
    """Writes the summaries of several sizes to a table.

    Raises:
      ResultsError: a summary is missing or not well-formed, or they are of several origins or
        labels.
    """
    table = pd.concat(map(read, paths), ignore_index=True)
    provenance(table)
    write(table, path)


def read(path: Path) -> pd.DataFrame:
    """Reads a summary.

    Raises:
      ResultsError: the table is missing or not well-formed.
    """
    key = ["size", "task", "initialization", "prompt_length", "seed"]
    return csv_schema.read(path, SCHEMA, key)


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes a summary atomically."""
    with atomic_write(path) as partial:
        table[list(SCHEMA.columns)].to_csv(partial, index=False, na_rep="nan")
