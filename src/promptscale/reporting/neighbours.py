"""The table of the neighbours of tuned prompts (section 7): a row per prompt, and its schema."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from promptscale.reporting import csv_schema
from promptscale.reporting.runs_table import one_world
from promptscale.storage.atomic import atomic_write

SCHEMA = pa.DataFrameSchema(
    {
        "size": pa.Column(None),
        "task": pa.Column(None),
        "initialization": pa.Column(None),
        "prompt_length": pa.Column("int64", pa.Check.ge(1)),
        "seed": pa.Column("int64", pa.Check.ge(0)),
        "world": pa.Column(None),
        "labels": pa.Column("int64", pa.Check.ge(0)),
        "labels_persisting": pa.Column("int64", pa.Check.ge(0)),
        "labels_found": pa.Column("int64", pa.Check.ge(0)),
        "rows_per_label": pa.Column("float64", pa.Check.ge(1), nullable=True),
        "duplicates": pa.Column("float64", pa.Check.in_range(0, 1)),
        "cohesion": pa.Column("float64", pa.Check.in_range(-1.001, 1.001)),
        "cohesion_random": pa.Column("float64", pa.Check.in_range(-1.001, 1.001)),
    },
    strict=True,
    ordered=True,
)


def combine(paths: Sequence[Path], path: Path) -> None:
    """Writes the summaries of several sizes to one table.

    Raises:
      ResultsError: a summary is missing or not well-formed, or they are of several worlds.
    """
    table = pd.concat([csv_schema.read(one, SCHEMA) for one in paths], ignore_index=True)
    one_world(table)
    write(table, path)


def read(path: Path) -> pd.DataFrame:
    """Reads a summary.

    Raises:
      ResultsError: the table is missing or not well-formed.
    """
    return csv_schema.read(path, SCHEMA)


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes a summary, whole."""
    with atomic_write(path) as partial:
        table[list(SCHEMA.columns)].to_csv(partial, index=False, na_rep="nan")
