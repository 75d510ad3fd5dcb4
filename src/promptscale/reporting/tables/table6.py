"""Table 6: the search space of prompt tuning's hyperparameters, and the best trial in it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.reporting import paper
from promptscale.reporting.tables.cells import titled
from promptscale.reporting.tables.table import DAGGER, Cell, Table

_COLUMNS = {
    "Learning Rate": "learning_rate",
    "Parameter Scaling": "parameter_scaling",
    "Batch Size": "batch_size",
    "Number of Steps": "steps",
    "Warmup Steps": "warmup_steps",
    "Decay Factor": "decay_factor",
    "Steps per Decay": "steps_per_decay",
}


def build(trials: pd.DataFrame, architectures: Mapping[str, ModelConfig] = SIZES) -> Table:
    """The printed space beside the values that were tried and those of the best trial.

    Args:
      trials: the rows that `hyperparameter_search.collect` writes.
      architectures: the architecture of every size.
    Raises:
      ResultsError: trials of several origins or labels.
    """
    misprints = paper.errata("table6")
    best = trials.iloc[int(trials["score"].argmax())]
    rows: list[tuple[Cell, ...]] = []
    for printed in paper.numbers("table6").to_dict("records"):
        name = printed["hyperparameter"]
        column = _COLUMNS[name]
        mark = DAGGER if (name, "search_space") in misprints else ""
        rows.append((
            name, printed["search_space"] + mark, _tried(trials[column]), _value(best[column]),
        ))  # fmt: skip
    notes = [
        f"{DAGGER} {name}: the paper prints {misprint['printed']}, surely for "
        f"{misprint['correct']} ({misprint['why']})."
        for (name, _), misprint in misprints.items()
    ]
    score = f"{len(trials)} trials; the best has a mean score of {best['score']:.1f}"
    return Table(
        number=6,
        title=titled(f"Search space for prompt tuning ({score})", trials, architectures),
        columns=("Hyperparameter", "Search Space (paper)", "Tried", "Best"),
        rows=tuple(rows),
        notes=tuple(notes),
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
