"""The table of the nearest neighbours of prompt tokens, a row per token and neighbour.

It has the prompts of the default length and the lowest seed, of all sizes, tasks and
initialisations; those of all prompts stay in a file per size.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from promptscale.config.tasks import TASKS
from promptscale.reporting import csv_schema
from promptscale.reporting.csv_schema import at_least_zero, between, choice
from promptscale.storage.atomic import atomic_write

SCHEMA = pa.DataFrameSchema(
    {
        "size": pa.Column(None),
        "task": choice(TASKS),
        "initialization": pa.Column(None),
        **dict.fromkeys(("prompt_length", "seed", "row", "rank"), at_least_zero("int64")),
        "piece": pa.Column(None),
        "cosine": between(-1.001, 1.001),
        "label": pa.Column(None),
        "in_labels": pa.Column("bool"),
    }
)


def read_all(path: Path) -> pd.DataFrame:
    """The neighbours of all prompts of a size, from the table of `experiments.interpretability`."""
    texts = ("size", "task", "initialization", "piece", "label")
    return pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(texts, str))


def combine(paths: Sequence[Path], prompt_length: int, path: Path) -> None:
    """Writes the neighbours of several sizes.

    Args:
      paths: the tables of neighbours of `experiments.interpretability.run`, one per size.
      prompt_length: the length of the prompts whose neighbours are written.
      path: the table of `SCHEMA`.
    """
    rows = pd.concat([read_all(file) for file in paths], ignore_index=True)
    rows = rows[rows["prompt_length"] == prompt_length]
    rows = rows[rows["seed"] == rows.groupby(["size", "task"])["seed"].transform("min")]
    with atomic_write(path) as partial:
        rows[list(SCHEMA.columns)].to_csv(partial, index=False, lineterminator="\n")


def read(path: Path) -> pd.DataFrame:
    """Reads the table.

    Raises:
      ResultsError: the table is missing or not well-formed.
    """
    key = ["size", "task", "initialization", "seed", "row", "rank"]
    return csv_schema.read(path, SCHEMA, key)
