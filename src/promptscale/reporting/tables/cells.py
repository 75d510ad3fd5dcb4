"""Cells that several tables share: spreads over seeds, the paper's beside them, the label."""

import pandas as pd

from promptscale.reporting import runs_table


def spread(values: pd.Series, digits: int = 1) -> str:
    """Mean ± sd (ddof 1) over seeds; the mean alone where there is one."""
    values = values.dropna()
    mean = f"{values.mean():.{digits}f}" if len(values) else "–"
    return mean if len(values) < 2 else f"{mean} ± {values.std():.{digits}f}"


def in_sds(values: pd.Series, mean: int | float, sd: int | float) -> str:
    """How far our mean is from the paper's, in units of the paper's sd."""
    return f"{(values.mean() - mean) / sd:+.1f}" if sd else ""


def signed(value: int | float) -> str:
    """A difference with its sign."""
    return f"{value:+.1f}"


def titled(title: str, frame: pd.DataFrame) -> str:
    """The title, followed by the label of results that are not the paper's.

    Raises:
      ResultsError: the rows of `frame` are of several worlds.
    """
    note = runs_table.world_note(runs_table.one_world(frame), frame["size"].nunique())
    return f"{title}. {note}" if note else title


ORIENTATION = "Columns marked (paper) are the paper's printed numbers, for orientation."
SDS = "sds: our mean minus the paper's, in units of the paper's standard deviation."


def notes(frame: pd.DataFrame, in_sds: bool = True) -> tuple[str, ...]:
    """The size that our numbers are of, and what the columns beside ours are.

    Args:
      frame: the rows of `runs.csv` that the table shows, of one world.
      in_sds: whether the table measures differences in the paper's sds where it compares.
    """
    size = f"Model: {', '.join(dict.fromkeys(frame['size']))}."
    if runs_table.one_world(frame) != "paper":
        return (size, ORIENTATION)
    return (size, SDS) if in_sds else (size,)
