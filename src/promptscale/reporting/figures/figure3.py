"""Figure 3: ablations of prompt tuning, a panel per axis."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from promptscale.config.axes import AXES, PAPER_AXES, Axis, Row
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.errors import ResultsError
from promptscale.reporting import runs_table
from promptscale.reporting.comparisons import along_axis, by_size
from promptscale.reporting.figures import style
from promptscale.reporting.provenance import caption


def axis_of(letter: str) -> Axis:
    """The axis whose panel has this letter."""
    return next(axis for axis in AXES.values() if axis.panel.letter == letter)


def data(
    runs: pd.DataFrame,
    default: Row,
    names: Sequence[str] | None = None,
    architectures: Mapping[str, ModelConfig] = SIZES,
) -> pd.DataFrame:
    """The numbers of some panels: per curve, size and seed the mean score over tasks.

    Args:
      runs: rows of `runs_table.read_runs`.
      default: the description of the default setting (`axes.describe`).
      names: the axes; by default the paper's, and further axes that have several curves.
      architectures: the architecture of every size.
    Returns:
      Columns `panel`, `curve`, `is_default`, `size`, `parameters`, `seed`, `score`, `tasks`,
      `origin`, `label`.
    Raises:
      ResultsError: a panel has no runs, or see `comparisons.by_size`.
    """
    scores = runs_table.selected_scores(runs)
    parts = []
    for name in names or AXES:
        axis, rows = AXES[name], along_axis(scores, name, default)
        if names is None and name not in PAPER_AXES and rows["curve"].nunique() < 2:
            continue
        letter = axis.panel.letter
        if rows.empty:
            raise ResultsError(
                f"The results have no runs for Figure 3({letter}), {axis.panel.title}."
            )
        means = by_size(rows, "curve", architectures)
        means.insert(1, "is_default", means["curve"] == axis.curve(default, default))
        means.insert(0, "panel", letter)
        parts.append(means)
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame, architectures: Mapping[str, ModelConfig] = SIZES) -> Figure:
    """Draws what `data` returned: a panel in a column's width, several in two columns."""
    letters = list(dict.fromkeys(data["panel"]))
    across = min(len(letters), 2)
    down = -(-len(letters) // across)
    with style.theme():
        figure = Figure(figsize=(style.COLUMN_WIDTH * across, 2.9 * down), layout="constrained")
        parts = figure.subfigures(down, across, squeeze=False).ravel()
        for part, letter in zip(parts, letters, strict=False):
            _draw_panel(part, data[data["panel"] == letter], axis_of(letter))
        _share_heights(figure.axes)
        style.badge(figure, caption(data, architectures))
    return figure


def lines(axis: Axis, curves: Sequence[str], default: str) -> dict[str, style.Line]:
    """The line of each curve in the legend's order; `default` is the default setting's curve."""
    labels = axis.labels(curves)
    others = [name for name in labels if name != default]
    styled = {name: style.other_line(labels[name], place) for place, name in enumerate(others)}
    marked = style.default_line(labels.get(default, "") + axis.panel.default_mark)
    return {name: styled.get(name, marked) for name in labels}


def _share_heights(panels: Sequence[Axes]) -> None:
    """Gives all panels the same range of scores."""
    lows, highs = zip(*(axes.get_ylim() for axes in panels), strict=True)
    for axes in panels:
        axes.set_ylim(min(lows), max(highs))


def _draw_panel(figure: FigureBase, data: pd.DataFrame, axis: Axis) -> None:
    data = data.assign(curve=data["curve"].astype(str))
    default = data.loc[data["is_default"], "curve"].unique()
    styled = lines(axis, list(dict.fromkeys(data["curve"])), default[0] if len(default) else "")
    axes = figure.subplots()
    style.curves(axes, data, styled, "curve", "score")
    axes.set_ylabel(style.score_label(data["tasks"].iloc[0]))
    axes.set_title(f"({axis.panel.letter}) {axis.panel.title}")
    style.legend_below(figure, axes, columns=-(-len(styled) // 2))  # two rows: panels align
