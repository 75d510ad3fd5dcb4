"""The dev scores of all settings, by size: what figures and claims are made of."""

from typing import Any

import pandas as pd

from promptscale.config import axes
from promptscale.reporting import runs_table
from promptscale.reporting.context import Context
from promptscale.reporting.tables.cells import spread
from promptscale.reporting.tables.table import Cell, Table

_NOTES = (
    (
        "Mean ± sd over seeds of the score at the selected step: the mean of a task's metrics, in "
        "percent. A column in which all settings agree is left out."
    ),
    "Constant answer: the score of the best answer that does not look at the input.",
)
_TITLES = {"task": "Trained on", "eval_task": "Evaluated on"}


def build(context: Context) -> Table:
    """A row per evaluated task and setting, a column per size.

    Raises:
      ResultsError: rows of several origins or labels.
    """
    scores = context.scores
    setting = [column for column in runs_table.setting_columns(scores) if column != "size"]
    sizes = sorted(set(scores["size"]), key=context.num_parameters)
    constant = context.majority.reindex(scores["eval_task"].unique())
    records: list[dict[str, Cell]] = []
    for _, group in scores.sort_values(setting).groupby(setting, sort=False, dropna=False):
        first = group.iloc[0]
        by_size = {size: group.loc[group["size"] == size, "score"] for size in sizes}
        records.append({
            **{_title(name): _text(name, first[name]) for name in setting},
            **{size: spread(values) for size, values in by_size.items()},
            "Constant answer": spread(constant.loc[[first["eval_task"]]]),
        })  # fmt: skip
    title = f"Dev scores of all settings. {context.caption(scores)}"
    return Table(title=title, records=records, notes=_NOTES)


def _title(column: str) -> str:
    return _TITLES.get(column, column.replace("_", " ").capitalize())


def _text(column: str, value: Any) -> Cell:
    """The value of a column of settings; None where the method has no such setting."""
    absent = {column.name: column.absent for column in axes.columns()}
    return None if value == absent.get(column) or pd.isna(value) else str(value)
