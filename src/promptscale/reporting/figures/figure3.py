"""Figure 3: ablations of prompt tuning, a panel per axis."""

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.figure import Figure, SubFigure

from promptscale.config.axes import AXES, PAPER_AXES, Axis, adaptation_steps
from promptscale.errors import ResultsError
from promptscale.reporting import paper
from promptscale.reporting.comparisons import along_axis, by_size
from promptscale.reporting.context import Context
from promptscale.reporting.figures import paper_curves, style


def data(context: Context, names: Sequence[str] = ()) -> pd.DataFrame:
    """The numbers of some panels: per curve, size and seed the mean score over tasks.

    The panels are those of the axes `names`; by default those of the paper's axes, and of further
    axes that have several curves. The paper's curves are added to results of its configuration
    (`paper_curves.beside`).

    Returns:
      The columns of `comparisons.by_size`, and `panel` and `is_default`.
    Raises:
      ResultsError: a panel has no runs, or see `comparisons.by_size`.
    """
    parts = []
    for name in names or AXES:
        axis, rows = AXES[name], along_axis(context, name)
        if not names and name not in PAPER_AXES and rows["curve"].nunique() < 2:
            continue
        title = f"Figure 3({axis.panel.letter}), {axis.panel.title}"
        if rows.empty:
            raise ResultsError(f"The results have no runs for {title}.")
        letter = axis.panel.letter
        means = by_size(context, rows, "curve").astype({"curve": str})
        means = paper_curves.beside(
            context, means, "curve", paper.curves(3, letter), names_of_curves(letter)
        )
        default = axis.curve(context.default, context.default)
        means.insert(1, "is_default", means["curve"] == default)
        means.insert(0, "panel", letter)
        parts.append(means)
    return pd.concat(parts, ignore_index=True)


def draw(context: Context, data: pd.DataFrame) -> Figure:
    """Draws what `data` returned: a panel in a column's width, several in two columns."""
    axis_of = {axis.panel.letter: axis for axis in AXES.values()}
    letters = list(dict.fromkeys(data["panel"]))
    across = min(len(letters), 2)
    down = -(-len(letters) // across)
    with style.theme():
        figure = Figure(figsize=(style.COLUMN_WIDTH * across, 2.9 * down), layout="constrained")
        parts = figure.subfigures(down, across, squeeze=False).ravel()
        for part, letter in zip(parts, letters, strict=False):
            _draw_panel(part, data[data["panel"] == letter], axis_of[letter])
        lows, highs = zip(*(axes.get_ylim() for axes in figure.axes), strict=True)
        for axes in figure.axes:  # all panels have the same range of scores
            axes.set_ylim(min(lows), max(highs))
        style.badge(figure, context.caption(data[~paper_curves.are_papers(data, "curve")]))
    return figure


def lines(axis: Axis, curves: Sequence[str], default: str) -> dict[str, style.Line]:
    """The line of each curve in the legend's order; `default` is the default setting's curve."""
    labels = axis.labels(curves)
    others = [name for name in labels if name != default]
    styled = {name: style.other_line(labels[name], place) for place, name in enumerate(others)}
    marked = style.default_line(labels.get(default, "") + axis.panel.default_mark)
    return {name: styled.get(name, marked) for name in labels}


def names_of_curves(letter: str) -> Callable[[str], str]:
    """From the names of a panel's curves in `paper/figures.csv` to our names of these curves."""
    if letter == "d":
        return lambda curve: str(adaptation_steps(curve))
    return lambda curve: curve.removeprefix("length_")


def _draw_panel(figure: SubFigure, data: pd.DataFrame, axis: Axis) -> None:
    data = data.assign(curve=data["curve"].astype(str))
    default = data.loc[data["is_default"], "curve"].unique()
    curves = data.loc[~paper_curves.are_papers(data, "curve"), "curve"]
    styled = lines(axis, list(dict.fromkeys(curves)), default[0] if len(default) else "")
    axes = figure.subplots()
    style.curves(axes, data, styled, "curve", "score")
    paper_curves.draw(axes, data, styled, "curve")
    axes.set_ylabel(style.score_label(data["tasks"].iloc[0]))
    axes.set_title(f"({axis.panel.letter}) {axis.panel.title}")
    entries = len(axes.get_legend_handles_labels()[0])
    style.legend_below(figure, axes, columns=-(-entries // 2))  # two rows: panels align
