"""Figure 3: ablations of prompt tuning, one panel per hyperparameter."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure, FigureBase

from promptscale import results
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.errors import ResultsError
from promptscale.figures import style
from promptscale.figures.scores import by_size, score_label


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
      title: printed under the panel's letter.
      varied: the columns of the results that differ between its curves.
      curve: a run's curve, from its row.
      lines: the looks of the curves found, given the default setting's curve.
    """

    title: str
    varied: tuple[str, ...]
    curve: Callable[[Mapping], str]
    lines: Callable[[Sequence[str], str], dict[str, style.Line]]


_OTHERS = (
    (style.ORANGE, "o", (1, 1)),
    (style.SKY, "s", (4, 1.5)),
    (style.PURPLE, "^", (3, 1, 1, 1)),
    (style.NAVY, "D", (2, 1)),
    (style.BLACK, "v", (5, 1, 1, 1, 1, 1)),
)


def _lengths(found: Sequence[str], default: str) -> dict[str, style.Line]:
    """Lengths in ascending order; looks are dealt out in that order, the default's apart."""
    ordered = sorted(found, key=int)
    looks = iter(_OTHERS)
    return {
        name: style.default_line(f"{name} (default)")
        if name == default
        else style.Line(name, *next(looks))
        for name in ordered
    }


_INITIALIZATIONS = {
    "random_uniform": "Random Uniform",
    "sampled_vocab": "Sampled Vocab",
    "class_label": "Class Label",
}
_OBJECTIVES = {
    "span_corruption": "Span Corruption",
    "span_corruption_sentinel": "Span Corruption\n+ Sentinel",
    "lm_adaptation": "LM Adaptation",
}


def _named(titles: Mapping[str, str]) -> Callable[[Sequence[str], str], dict[str, style.Line]]:
    """Curves that have names, in the order of the names; a curve without one is not shown."""

    def lines(found: Sequence[str], default: str) -> dict[str, style.Line]:
        looks = iter(_OTHERS)
        return {
            name: style.default_line(f"{title} (default)")
            if name == default
            else style.Line(title, *next(looks))
            for name, title in titles.items()
            if name in found
        }

    return lines


def _steps(found: Sequence[str], default: str) -> dict[str, style.Line]:
    """Steps in ascending order, thousands as the paper writes them."""
    in_thousands = all(int(name) % 1000 == 0 for name in found)
    looks = iter(_OTHERS)
    shown = {
        name: f"{int(name) // 1000}K" if in_thousands else name for name in sorted(found, key=int)
    }
    return {
        name: style.default_line(f"{label} (default)")
        if name == default
        else style.Line(label, *next(looks))
        for name, label in shown.items()
    }


_MODEL = ("objective", "adaptation_steps")  # a change of one is a change of the other

PANELS = {
    "a": Panel(
        "Prompt length", ("prompt_length",), lambda row: str(row["prompt_length"]), _lengths
    ),
    "b": Panel(
        "Prompt initialization",
        ("initialization",),
        lambda row: row["initialization"],
        _named(_INITIALIZATIONS),
    ),
    "c": Panel("Pre-training objective", _MODEL, lambda row: row["objective"], _named(_OBJECTIVES)),
    "d": Panel("LM adaptation steps", _MODEL, lambda row: str(row["adaptation_steps"]), _steps),
}


def shown(scores: pd.DataFrame, letter: str, default: results.PromptSetting) -> pd.DataFrame:
    """The prompt-tuning runs of a panel, with the column `curve`.

    They differ from the `default` setting in nothing but what the panel varies: (c) has no adapted
    model but the default's, (d) no targets with a sentinel.
    """
    panel = PANELS[letter]
    rows = scores[results.has_setting(scores, default, except_for=panel.varied)]
    if letter == "c":
        plain = rows["objective"] != "lm_adaptation"
        rows = rows[plain | (rows["adaptation_steps"] == default.adaptation_steps)]
    if letter == "d":
        rows = rows[rows["objective"] != "span_corruption_sentinel"]
    return rows.assign(curve=[panel.curve(row) for row in rows.to_dict("records")])


def data(
    runs: pd.DataFrame,
    default: results.PromptSetting,
    panels: Sequence[str] = tuple(PANELS),
    tasks: Sequence[str] | None = None,
    architectures: Mapping[str, ModelConfig] = SIZES,
) -> pd.DataFrame:
    """What the panels plot: per curve, size and seed the mean score over tasks.

    A panel has the prompt-tuning runs that differ from the `default` setting in nothing but what
    the panel varies.

    Returns:
      Columns `panel`, `curve`, `is_default`, `size`, `parameters`, `seed`, `score`, `tasks`,
      `world`.
    Raises:
      ResultsError: a panel has no runs, or see `figures.scores.by_size`.
    """
    scores = results.selected_scores(runs)
    parts = []
    for letter in panels:
        panel = PANELS[letter]
        rows = shown(scores, letter, default)
        if rows.empty:
            raise ResultsError(f"The results have no runs for Figure 3({letter}), {panel.title}.")
        means = by_size(rows, "curve", tasks, architectures)
        means.insert(1, "is_default", means["curve"] == panel.curve(dataclasses.asdict(default)))
        means.insert(0, "panel", letter)
        parts.append(means)
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame) -> Figure:
    """Draws what `data` returned: one panel in a column's width, more in two columns of panels."""
    letters = list(dict.fromkeys(data["panel"]))
    across = 1 if len(letters) == 1 else 2
    down = -(-len(letters) // across)
    with style.theme():
        figure = Figure(figsize=(style.COLUMN_WIDTH * across, 2.9 * down), layout="constrained")
        parts = figure.subfigures(down, across, squeeze=False).ravel()
        for part, letter in zip(parts, letters, strict=False):
            _draw_panel(part, data[data["panel"] == letter], letter)
        style.badge(figure, results.one_world(data), data["size"].nunique())
    return figure


def _draw_panel(figure: FigureBase, data: pd.DataFrame, letter: str) -> None:
    panel = PANELS[letter]
    names = list(dict.fromkeys(data["curve"].astype(str)))
    default = data.loc[data["is_default"], "curve"].astype(str).unique()
    lines = panel.lines(names, default[0] if len(default) else "")
    axes = figure.subplots()
    style.curves(axes, data.assign(curve=data["curve"].astype(str)), lines, "curve", "score")
    axes.set_ylabel(score_label(data["tasks"].iloc[0]))
    axes.set_title(f"({letter}) {panel.title}")
    style.legend_below(figure, axes, columns=4 if len(lines) <= 4 else 3)
