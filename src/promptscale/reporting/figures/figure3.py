"""Figure 3: ablations of prompt tuning, one panel per hyperparameter."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.errors import ResultsError
from promptscale.reporting import runs_table
from promptscale.reporting.figures import style
from promptscale.reporting.figures.scores import by_size, score_label

Lines = dict[str, style.Line]


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
    lines: Callable[[Sequence[str], str], Lines]


_OTHERS = (
    (style.ORANGE, "o", (1, 1)),
    (style.SKY, "s", (4, 1.5)),
    (style.PURPLE, "^", (3, 1, 1, 1)),
    (style.NAVY, "D", (2, 1)),
    (style.BLACK, "v", (5, 1, 1, 1, 1, 1)),
)


def _dealt(labels: Mapping[str, str], default: str, mark: str = " (default)") -> Lines:
    """Looks dealt out to curves in their order, the default's apart; its label ends in `mark`."""
    looks = iter(_OTHERS)
    return {
        name: style.default_line(label + mark)
        if name == default
        else style.Line(label, *next(looks))
        for name, label in labels.items()
    }


def _lengths(found: Sequence[str], default: str) -> Lines:
    return _dealt({name: name for name in sorted(found, key=int)}, default)


_INITIALIZATIONS = {
    "random_uniform": "Random Uniform",
    "sampled_vocab": "Sampled Vocab",
    "class_label": "Class Label",
}
_OBJECTIVES = {
    "span_corruption": "Span Corruption",
    "span_corruption_sentinel": "Span Corruption + Sentinel",
}
_ADAPTED = "lm_"
_MODEL = ("objective", "adaptation_steps")  # a change of one is a change of the other


def _initializations(found: Sequence[str], default: str) -> Lines:
    labels = {name: label for name, label in _INITIALIZATIONS.items() if name in found}
    return _dealt(labels, default)


def _objective(row: Mapping) -> str:
    """The curve of a frozen model: an adapted one carries its steps, which the legend prints."""
    adapted = row["objective"] == "lm_adaptation"
    return f"{_ADAPTED}{row['adaptation_steps']}" if adapted else row["objective"]


def _objectives(found: Sequence[str], default: str) -> Lines:
    labels = {name: label for name, label in _OBJECTIVES.items() if name in found}
    adapted = [name.removeprefix(_ADAPTED) for name in found if name.startswith(_ADAPTED)]
    for name, steps in _in_thousands(adapted).items():
        labels[_ADAPTED + name] = f"LM Adaptation ({steps} steps)"
    return _dealt(labels, default, mark="")


def _steps(found: Sequence[str], default: str) -> Lines:
    return _dealt(_in_thousands(found), default)


def _in_thousands(found: Sequence[str]) -> dict[str, str]:
    """Steps in ascending order, written as the paper does where they are of its magnitude."""
    ordered = sorted(map(int, found))
    thousands = bool(ordered) and ordered[-1] >= 10_000 and all(n % 1000 == 0 for n in ordered)
    return {str(n): f"{n // 1000}K" if thousands else str(n) for n in ordered}


PANELS = {
    "a": Panel(
        "Prompt length", ("prompt_length",), lambda row: str(row["prompt_length"]), _lengths
    ),
    "b": Panel(
        "Prompt initialization",
        ("initialization",),
        lambda row: row["initialization"],
        _initializations,
    ),
    "c": Panel("Pre-training objective", _MODEL, _objective, _objectives),
    "d": Panel("LM adaptation steps", _MODEL, lambda row: str(row["adaptation_steps"]), _steps),
}


def shown(scores: pd.DataFrame, letter: str, default: runs_table.PromptSetting) -> pd.DataFrame:
    """The prompt-tuning runs of a panel, with the column `curve`.

    They differ from the `default` setting in nothing but what the panel varies: (b) has no prompts
    that start from a text or a file, (c) no adapted model but the default's, (d) no targets with a
    sentinel. A curve that lacks a task which others share is left out: the lengths that Table 5
    alone has are tuned on one task.
    """
    panel = PANELS[letter]
    rows = scores[runs_table.has_setting(scores, default, except_for=panel.varied)]
    if letter == "b":
        rows = rows[rows["initialization"].isin(_INITIALIZATIONS)]
    if letter == "c":
        plain = rows["objective"] != "lm_adaptation"
        rows = rows[plain | (rows["adaptation_steps"] == default.adaptation_steps)]
    if letter == "d":
        rows = rows[rows["objective"] != "span_corruption_sentinel"]
    rows = rows.assign(curve=[panel.curve(row) for row in rows.to_dict("records")])
    curves = rows.groupby("eval_task")["curve"].nunique()
    shared = set(curves.index[curves > 1])
    return rows[rows.groupby("curve")["eval_task"].transform(lambda own: shared <= set(own))]


def default_curve(letter: str, default: runs_table.PromptSetting) -> str:
    """The curve of the `default` setting in a panel."""
    return PANELS[letter].curve(dataclasses.asdict(default))


def data(
    runs: pd.DataFrame,
    default: runs_table.PromptSetting,
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
    scores = runs_table.selected_scores(runs)
    parts = []
    for letter in panels:
        rows = shown(scores, letter, default)
        if rows.empty:
            title = PANELS[letter].title
            raise ResultsError(f"The results have no runs for Figure 3({letter}), {title}.")
        means = by_size(rows, "curve", tasks, architectures)
        means.insert(1, "is_default", means["curve"] == default_curve(letter, default))
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
        _share_heights(figure.axes)
        style.badge(figure, runs_table.one_world(data), data["size"].nunique())
    return figure


def _share_heights(panels: Sequence[Axes]) -> None:
    """One range of scores for all panels: what they have in common stands at one height."""
    lows, highs = zip(*(axes.get_ylim() for axes in panels), strict=True)
    for axes in panels:
        axes.set_ylim(min(lows), max(highs))


def _draw_panel(figure: FigureBase, data: pd.DataFrame, letter: str) -> None:
    panel = PANELS[letter]
    names = list(dict.fromkeys(data["curve"].astype(str)))
    default = data.loc[data["is_default"], "curve"].astype(str).unique()
    lines = panel.lines(names, default[0] if len(default) else "")
    axes = figure.subplots()
    style.curves(axes, data.assign(curve=data["curve"].astype(str)), lines, "curve", "score")
    axes.set_ylabel(score_label(data["tasks"].iloc[0]))
    axes.set_title(f"({letter}) {panel.title}")
    style.legend_below(figure, axes, columns=-(-len(lines) // 2))  # two rows: panels align
