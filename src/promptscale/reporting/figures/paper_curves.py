"""The paper's curves, as thin lines beside ours in Figures 1 and 3."""

from collections.abc import Callable, Mapping

import pandas as pd
from matplotlib.axes import Axes

from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting.context import Context
from promptscale.reporting.figures.style import Line

_MARK = " (paper)"  # ends the names of the paper's curves
_GREY = "0.55"


def beside(
    context: Context,
    means: pd.DataFrame,
    column: str,
    curves: pd.DataFrame,
    name: Callable[[str], str] = str,
) -> pd.DataFrame:
    """Adds the paper's curves to ours, if the context shows them and ours are of SuperGLUE.

    Args:
      means: our rows of `comparisons.by_size`; `column` has the names of the curves.
      curves: the rows of `paper.curves`.
      name: the name of our curve that a curve of the paper corresponds to.
    Returns:
      `means`, and a row per point of the paper, whose name ends with "(paper)".
    """
    tasks = set(means["tasks"].iloc[0].split())
    if curves.empty or tasks != set(SUPER_GLUE) or not context.shows_paper(means):
        return means
    shared = means.loc[means.index[0], ["tasks", "origin", "label"]]
    points = curves.rename(columns={"mean": "score"}).assign(seed=0, diverged="", **shared)
    points[column] = curves["curve"].map(name) + _MARK
    return pd.concat([means, points[list(means.columns)]], ignore_index=True)


def are_papers(data: pd.DataFrame, column: str) -> pd.Series:
    """Which rows are of the paper's curves."""
    return data[column].str.endswith(_MARK)


def counterpart(name: str) -> str:
    """The name of our curve that a curve of the paper stands beside."""
    return name.removesuffix(_MARK)


def draw(axes: Axes, data: pd.DataFrame, lines: Mapping[str, Line], column: str) -> None:
    """Draws the paper's curves of `data`, each in the colour of our curve of the same name."""
    points = data[are_papers(data, column)]
    for curve, rows in points.groupby(column, sort=False):
        line = lines.get(counterpart(str(curve)))
        color, dashes = (line.color, line.dashes) if line else (_GREY, ())
        axes.plot(
            rows["parameters"],
            rows["score"],
            color=color,
            linestyle=(0, dashes) if dashes else "-",
            linewidth=0.6,
            alpha=0.7,
            zorder=1,
        )
    if len(points):
        axes.plot([], [], color=_GREY, linewidth=0.6, label="Thin Lines: the Paper")
