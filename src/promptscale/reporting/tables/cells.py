"""Cells and notes that several tables share."""

from collections.abc import Mapping, Sequence

import pandas as pd

from promptscale.reporting.context import Context
from promptscale.reporting.tables.table import DAGGER


def spread(values: pd.Series, digits: int = 1) -> str:
    """Mean ± sd (ddof 1) over seeds; the mean alone for a single seed."""
    values = values.dropna()
    mean = f"{values.mean():.{digits}f}" if len(values) else "–"
    return mean if len(values) < 2 else f"{mean} ± {values.std():.{digits}f}"


def notes(context: Context, rows: pd.DataFrame, of_papers: Sequence[str] = ()) -> tuple[str, ...]:
    """The size of the model that `rows` are of, and what the columns beside ours mean.

    `of_papers` are the notes where the results are of the paper's configuration.
    """
    orientation = "Columns marked (paper) are the paper's printed numbers, for orientation."
    further = of_papers if context.is_papers(rows) else [orientation]
    return (f"Model: {', '.join(dict.fromkeys(rows['size']))}.", *further)


def misprint_notes(misprints: Mapping[tuple[str, str], Mapping[str, str]]) -> list[str]:
    """The notes on the misprints of a table (`paper.errata`)."""
    return [f"{DAGGER} {misprint['note']}" for misprint in misprints.values()]
