"""Cells, titles and notes that several tables share."""

from collections.abc import Mapping

import pandas as pd

from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.reporting.provenance import caption


def spread(values: pd.Series, digits: int = 1) -> str:
    """Mean ± sd (ddof 1) over seeds; the mean alone for a single seed."""
    values = values.dropna()
    mean = f"{values.mean():.{digits}f}" if len(values) else "–"
    return mean if len(values) < 2 else f"{mean} ± {values.std():.{digits}f}"


def in_sds(values: pd.Series, mean: int | float, sd: int | float) -> str:
    """The difference of our mean from the paper's in units of the paper's sd."""
    return f"{(values.mean() - mean) / sd:+.1f}" if sd else ""


def signed(value: int | float) -> str:
    """A difference with its sign."""
    return f"{value:+.1f}"


def titled(
    title: str, frame: pd.DataFrame, architectures: Mapping[str, ModelConfig] = SIZES
) -> str:
    """The title, followed by the caption of the results in `frame` (see `provenance.caption`)."""
    return f"{title}. {caption(frame, architectures)}"


ORIENTATION = "Columns marked (paper) are the paper's printed numbers, for orientation."
SDS = "sds: our mean minus the paper's, in units of the paper's standard deviation."


def notes(frame: pd.DataFrame, papers: bool, in_sds: bool = True) -> tuple[str, ...]:
    """The notes of a table: the size of its model, and what the columns beside ours mean.

    Args:
      frame: the rows of `runs.csv` that the table shows.
      papers: whether the results are of the paper's configuration.
      in_sds: whether the table then shows differences in the paper's sds.
    """
    size = f"Model: {', '.join(dict.fromkeys(frame['size']))}."
    if not papers:
        return (size, ORIENTATION)
    return (size, SDS) if in_sds else (size,)
