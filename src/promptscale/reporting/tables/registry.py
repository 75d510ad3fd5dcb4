"""All tables by name."""

import functools
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from promptscale.errors import ResultsError
from promptscale.reporting.context import Context
from promptscale.reporting.provenance import provenance
from promptscale.reporting.tables import (
    dataset_statistics,
    neighbours,
    table1,
    table2,
    table3,
    table4,
    table5,
    table6,
    tables7to16,
    throughput,
)
from promptscale.reporting.tables.table import Table, write


def write_table(name: str, context: Context, stem: Path) -> None:
    """Writes the table called `name` to STEM.csv, STEM.md and STEM.tex.

    Raises:
      ResultsError: no such table, or the results lack runs that it shows.
    """
    if name not in BUILDERS:
        raise ResultsError(f"There is no table {name!r}; there are {', '.join(BUILDERS)}.")
    write(BUILDERS[name](context), stem)


def _of_datasets(context: Context, name: str) -> Table:
    source = provenance(pd.read_csv(context.path("runs"), usecols=["origin", "label"]))
    return tables7to16.build(dataset_statistics.read(context.path("datasets")), source)[name]


BUILDERS: dict[str, Callable[[Context], Table]] = {
    "table1": lambda context: table1.build(context.runs, context.default, context.architectures),
    "table2": lambda context: table2.build(context.runs, context.default, context.architectures),
    "table3": lambda context: table3.build(context.runs, context.default, context.architectures),
    "table4": lambda context: table4.build(),
    "table5": lambda context: table5.build(
        context.runs, context.default, context.convergence_task, context.architectures
    ),
    "table6": lambda context: table6.build(
        pd.read_csv(context.path("trials")), context.architectures
    ),
    **{
        f"table{number}": functools.partial(_of_datasets, name=f"table{number}")
        for number in range(7, 17)
    },
    "interpretability": lambda context: neighbours.build(context.neighbours, context.architectures),
    "serving": lambda context: throughput.build(
        pd.read_csv(context.path("serving")), context.architectures
    ),
}
