"""The results that claims are tested on: tables of mean scores, sizes in ascending order."""

from collections.abc import Sequence

import pandas as pd

from promptscale.errors import ResultsError
from promptscale.reporting.comparisons import along_axis, by_size
from promptscale.reporting.context import Context


class AbsentError(Exception):
    """The results lack the runs of a claim."""


def means(context: Context, rows: pd.DataFrame, curve: str) -> pd.DataFrame:
    """The mean scores of `comparisons.by_size`.

    Raises:
      AbsentError: there are no rows, or they have no task or seed in common.
    """
    try:
        return by_size(context, rows, curve)
    except ResultsError:
        raise AbsentError from None


def methods(context: Context, *names: str) -> list[pd.DataFrame]:
    """Scores of each method, prompt tuning in the default setting: index seed, columns sizes.

    Raises:
      AbsentError: the results lack a method, the largest size, or a second size.
    """
    scores = context.scores
    wanted = scores["method"].isin(set(names) - {"prompt_tuning"})
    if "prompt_tuning" in names:
        wanted |= context.has_default(scores)
    return compared(context, _wide(means(context, scores[wanted], "method")), names)


def along(context: Context, axis: str) -> pd.DataFrame:
    """Scores along an ablation axis at the sizes of all curves: index curve and seed.

    Raises:
      AbsentError: the results lack a second curve, the largest size, or a second size.
    """
    rows = along_axis(context, axis)
    if rows["curve"].nunique() < 2:
        raise AbsentError
    return _of_several_sizes(context, _wide(means(context, rows, "curve")))


def compared(context: Context, table: pd.DataFrame, names: Sequence[str]) -> list[pd.DataFrame]:
    """The curves `names` of a table, at the sizes that all of them have.

    Raises:
      AbsentError: the table lacks a curve, the largest size, or a second size.
    """
    if not set(names) <= set(table.index.get_level_values(0)):
        raise AbsentError
    picked = _of_several_sizes(context, table.loc[list(names)])
    return [pd.DataFrame(picked.loc[name]) for name in names]


def _of_several_sizes(context: Context, table: pd.DataFrame) -> pd.DataFrame:
    table = table.dropna(axis=1)
    if table.shape[1] < 2 or table.columns[-1] != context.largest(context.runs["size"]):
        raise AbsentError
    return table


def _wide(means: pd.DataFrame) -> pd.DataFrame:
    """Index curve and seed, columns the sizes, smallest first."""
    order = list(dict.fromkeys(means.sort_values("parameters")["size"]))
    table = means.pivot_table(index=[means.columns[0], "seed"], columns="size", values="score")
    return table[order]
