"""Table 6: the search space of the hyperparameters, and the best trial of each method in it."""

from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from promptscale.reporting import csv_schema, paper
from promptscale.reporting.context import Context
from promptscale.reporting.csv_schema import at_least_zero, between, choice, number
from promptscale.reporting.provenance import caption
from promptscale.reporting.tables.cells import misprint_notes
from promptscale.reporting.tables.table import DAGGER, Table

_COLUMNS = {"Number of Steps": "steps"}  # others: the name in lower case, with underscores
_METHODS = {"prompt_tuning": "prompt tuning", "model_tuning": "model tuning"}
_TRIALS = pa.DataFrameSchema(
    {
        "trial": at_least_zero("int64"),
        "method": choice(_METHODS),
        "size": pa.Column(None),
        "learning_rate": at_least_zero("float64"),
        "parameter_scaling": pa.Column("bool"),
        **dict.fromkeys(("batch_size", "steps", "warmup_steps"), at_least_zero("int64")),
        "decay_factor": number("", "nan"),  # empty: none
        "steps_per_decay": at_least_zero("int64"),
        "score": between(0.0, 100.0),
        "diverged": at_least_zero("int64"),
        "origin": pa.Column(None),
        "label": pa.Column(None),
    }
)


def build(context: Context) -> Table:
    """The printed space beside the values that were tried and those of the best trials.

    Raises:
      ResultsError: trials of several origins or labels.
    """
    trials = csv_schema.read(context.path("trials"), _TRIALS, ["trial"])
    misprints = paper.errata("table6")
    groups = {name: trials[trials["method"] == name] for name in _METHODS}
    searched = {name: group for name, group in groups.items() if len(group)}
    best = {
        f"Best ({_METHODS[name]})": group.iloc[int(group["score"].argmax())]
        for name, group in searched.items()
    }
    records = []
    for name, space in paper.numbers("table6").itertuples(index=False):
        column = _COLUMNS.get(name, name.lower().replace(" ", "_"))
        records.append({
            "Hyperparameter": name,
            "Search Space (paper)": space + DAGGER * ((name, "search_space") in misprints),
            "Tried": _tried(trials[column]),
            **{method: _value(trial[column]) for method, trial in best.items()},
        })  # fmt: skip
    counts = "; ".join(_count(_METHODS[name], group) for name, group in searched.items())
    notes = misprint_notes(misprints)
    if "model_tuning" in searched:
        notes.append(_sweep(searched["model_tuning"]))
    return Table(
        number=6,
        title=f"Search space ({counts}). {caption(trials, context.architectures)}",
        records=records,
        notes=notes,
    )


def _count(method: str, trials: pd.DataFrame) -> str:
    """The number of a method's trials and the best score, in words."""
    stopped = int((trials["diverged"] > 0).sum())
    diverged = f", {stopped} of which diverged" if stopped else ""
    best = trials["score"].max()
    return f"{len(trials)} trials of {method}{diverged}; the best has a mean score of {best:.1f}"


def _sweep(trials: pd.DataFrame) -> str:
    """Model tuning's best score with each batch size (footnote 4)."""
    scores = trials.groupby("batch_size")["score"].max()
    listed = ", ".join(f"{size:,}: {score:.1f}" for size, score in scores.items())
    return f"The best score of model tuning by batch size: {listed}."


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
