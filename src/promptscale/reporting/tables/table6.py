"""Table 6: the search space of prompt tuning's hyperparameters, and the best trial in it."""

from typing import Any

import numpy as np
import pandas as pd

from promptscale.reporting import paper
from promptscale.reporting.context import Context
from promptscale.reporting.tables.cells import misprint_notes
from promptscale.reporting.tables.table import DAGGER, Table

_COLUMNS = {"Number of Steps": "steps"}  # others: the name in lower case, with underscores


def build(context: Context) -> Table:
    """The printed space beside the values that were tried and those of the best trial.

    Raises:
      ResultsError: trials of several origins or labels.
    """
    trials = pd.read_csv(context.path("trials"))
    misprints = paper.errata("table6")
    best = trials.iloc[int(trials["score"].argmax())]
    records = []
    for name, space in paper.numbers("table6").itertuples(index=False):
        column = _COLUMNS.get(name, name.lower().replace(" ", "_"))
        records.append({
            "Hyperparameter": name,
            "Search Space (paper)": space + DAGGER * ((name, "search_space") in misprints),
            "Tried": _tried(trials[column]),
            "Best": _value(best[column]),
        })  # fmt: skip
    score = f"{len(trials)} trials; the best has a mean score of {best['score']:.1f}"
    return Table(
        number=6,
        title=f"Search space for prompt tuning ({score}). {context.caption(trials)}",
        records=records,
        notes=misprint_notes(misprints),
    )


def _tried(values: pd.Series) -> str:
    if values.name == "learning_rate":
        return f"{values.min():.3g}–{values.max():.3g}"
    return ", ".join(dict.fromkeys(_value(value) for value in sorted(values.fillna(0))))


def _value(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(value)
    if np.isnan(value) or value == 0:
        return "off"
    return f"{value:.3g}" if value < 1 else f"{value:,.0f}"
