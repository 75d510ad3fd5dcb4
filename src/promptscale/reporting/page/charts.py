"""Figures 1, 3 and 4 as Vega-Lite specifications, with the paper's curves and values on hover.

The numbers, names and styles of the curves are those of `promptscale.reporting.figures`. Colours
are CSS variables, so a chart follows the page's colours. The signal `paper` of a chart shows or
hides the paper's curves.
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from promptscale.config.axes import AXES, Axis
from promptscale.reporting import paper
from promptscale.reporting.context import Context
from promptscale.reporting.figures import figure1, figure3, figure4, paper_curves
from promptscale.reporting.figures.style import Line, score_label, short_count
from promptscale.reporting.runs_table import aggregate

Spec = dict[str, Any]

_SHAPES = {"o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "D": "diamond",
           "d": "diamond", "X": "cross", "P": "cross", "p": "square", ">": "triangle-right",
           "<": "triangle-left"}  # fmt: skip
_SOLID = [1, 0]
_RESULTS = "these results"
_OURS, _PAPERS = {"filter": "!datum.paper"}, {"filter": "datum.paper && paper"}


@dataclasses.dataclass(frozen=True)
class Chart:
    """A figure of the page.

    Attributes:
      name: its name, as that of its files, such as `figure3a`.
      title: a line above it.
      points: a row per curve and size: `curve`, `size`, `parameters`, `mean`, `sd`, `n` (none where
        it is not ours), `source` (such as `these results`, `the paper` or `the paper, assumed`).
      spec: its Vega-Lite specification.
      over: what means are over: seeds or lengths.
      note: a sentence below it, or nothing.
    """

    name: str
    title: str
    points: Sequence[Mapping[str, Any]]
    spec: Spec
    over: str = "seeds"
    note: str = ""

    @property
    def has_paper(self) -> bool:
        """Whether the chart has curves of the paper that it can show or hide."""
        return any(point["paper"] for point in self.points)


def charts(context: Context, names: Sequence[str]) -> list[Chart]:
    """The charts of the figures called `names`; Figure 3 is its panels.

    The paper's curves are in all charts. They are visible at first if `context.shows_paper`.

    Raises:
      ResultsError: the results lack runs that a figure shows.
    """
    with_paper = dataclasses.replace(context, paper_curves=True)
    made = []
    if "figure1" in names:
        made.append(_figure1(with_paper, context.shows_paper(with_paper.runs)))
    for axis in AXES.values():
        if f"figure3{axis.panel.letter}" in names:
            made.append(_panel(with_paper, axis, context.shows_paper(with_paper.runs)))
    return [*made, _figure4(with_paper)] if "figure4" in names else made


def _figure1(context: Context, visible: bool) -> Chart:
    data = figure1.data(context)
    tasks = data["tasks"].iloc[0]
    floor = round(float(context.majority[tasks.split()].mean()), 1)
    title = "Figure 1: prompt tuning, model tuning and prompt design by size"
    assumed = _assumed(paper.curves(1))
    points = _points(data, "method", "score", figure1.LINES, assumed)
    spec = _spec(title, points, figure1.LINES, score_label(tasks), visible)
    rule = {"type": "rule", "strokeDash": [2, 3], "stroke": "currentColor", "aria": False}
    ends = {"x": {"value": 0}, "x2": {"value": "width"}, "y": {"datum": floor}}
    spec["layer"].append({"data": {"values": [{}]}, "mark": rule, "encoding": ends})
    note = f"The dotted line is the best constant answer, {floor}."
    return Chart("figure1", title, points, spec, note=note)


def _panel(context: Context, axis: Axis, visible: bool) -> Chart:
    data = figure3.data(context, [axis.name])
    default = data.loc[data["is_default"], "curve"].unique()
    curves = data.loc[~paper_curves.are_papers(data, "curve"), "curve"]
    lines = figure3.lines(axis, list(dict.fromkeys(curves)), default[0] if len(default) else "")
    title = f"Figure 3({axis.panel.letter}): {axis.panel.title}"
    letter = axis.panel.letter
    assumed = _assumed(paper.curves(3, letter), figure3.names_of_curves(letter))
    points = _points(data, "curve", "score", lines, assumed)
    label = score_label(data["tasks"].iloc[0])
    spec = _spec(title, points, lines, label, visible)
    return Chart(f"figure3{letter}", title, points, spec)


def _figure4(context: Context) -> Chart:
    title = "Figure 4: parameters of a task, in % of all parameters in use"
    points = _points(figure4.data(context), "method", "percent", figure4.LINES, digits=6)
    over = "lengths"
    spec = _spec(title, points, figure4.LINES, "Task parameters (%)", over=over, log=True)
    note = "Exact counts at the paper's sizes; a curve is the mean over prompt lengths."
    return Chart("figure4", title, points, spec, over, note)


def _assumed(curves: pd.DataFrame, name: Callable[[str], str] = str) -> frozenset[tuple[str, str]]:
    """The values of the paper's curves that were not read but assumed: our curve and the size."""
    rows = curves[curves["reading_error"].isna()]
    return frozenset(zip(rows["curve"].map(name), rows["size"], strict=True))


def _points(
    data: pd.DataFrame,
    curve: str,
    value: str,
    lines: Mapping[str, Line],
    assumed: Collection[tuple[str, str]] = (),
    digits: int = 2,
) -> list[dict[str, Any]]:
    """Mean and standard deviation of every curve and size; the paper's rows are marked."""
    papers = paper_curves.are_papers(data, curve)
    names = data[curve].where(~papers, data[curve].map(paper_curves.counterpart))
    labels = names.map(lambda name: lines[name].label if name in lines else f"{name} (paper)")
    places = zip(names, data["size"], strict=True)
    guessed = papers & pd.Series([place in assumed for place in places], data.index)
    source = papers.map({True: "the paper", False: _RESULTS})
    sources = source.mask(guessed, "the paper, assumed")
    sources = sources.mask(data[curve] == "gpt3_prompt_design", "Brown et al. (2020)")
    described = data.assign(curve=labels, paper=papers, source=sources)
    means = aggregate(described, ["curve", "paper", "source", "size", "parameters"], value)
    points = []
    for row in means.sort_values("parameters", kind="stable").to_dict("records"):
        known = not pd.isna(row["sd"])
        points.append({
            "curve": row["curve"], "size": row["size"], "parameters": int(row["parameters"]),
            "mean": round(row["mean"], digits), "sd": round(row["sd"], digits) if known else None,
            "n": row["n"] if row["source"] == _RESULTS else None, "source": row["source"],
            "paper": bool(row["paper"]),
        })  # fmt: skip
    return points


def _spec(
    title: str,
    points: Sequence[Mapping[str, Any]],
    lines: Mapping[str, Line],
    label: str,
    visible: bool = False,
    over: str = "seeds",
    log: bool = False,
) -> Spec:
    """The specification of curves over sizes: bands of mean ± sd, lines, and points with values."""
    by_label = {line.label: line for line in lines.values()}
    present = dict.fromkeys(point["curve"] for point in points)
    names = [name for name in dict.fromkeys([*by_label, *present]) if name in present]
    styles = [by_label.get(name, Line(name, "#767676", "o")) for name in names]

    ours = [name for name in names if name in by_label]
    legend = {"values": {"expr": f"paper ? {json.dumps(names)} : {json.dumps(ours)}"}}

    def styled(values: Sequence[Any]) -> Spec:
        channel: Spec = {"field": "curve", "type": "nominal", "title": None, "legend": legend}
        return channel | {"scale": {"domain": names, "range": values}}

    color = styled([css_color(line.color) for line in styles])
    dash = styled([[4 * part for part in line.dashes] or _SOLID for line in styles])
    shape = styled([_SHAPES.get(line.marker, "circle") for line in styles])
    y_scale = {"type": "log"} if log else {"zero": False}
    x = {
        "field": "parameters", "type": "quantitative", "title": "Model parameters",
        "scale": {"type": "log", "nice": False, "padding": 14},
        "axis": {
            "values": sorted({point["parameters"] for point in points}), "grid": False,
            "labelExpr": f"({json.dumps(_size_labels(points))})[datum.value]",
        },
    }  # fmt: skip
    y = {
        "field": "mean", "type": "quantitative", "scale": y_scale,
        "title": label.replace("\n", " "),
    }  # fmt: skip
    tooltip = [
        {"field": "curve", "title": "Curve"},
        {"field": "size", "title": "Model"},
        {"field": "parameters", "title": "Parameters", "format": ","},
        {"field": "mean", "title": "Mean"},
        {"field": "sd", "title": f"SD over {over}"},
        {"field": "n", "title": over.title()},
        {"field": "source", "title": "Source"},
    ]
    lowest = min(point["mean"] for point in points)
    bands = [
        {
            **point,
            **{key: "–" if point[key] is None else point[key] for key in ("sd", "n")},
            "low": max(point["mean"] - (point["sd"] or 0), lowest if log else 0),
            "high": point["mean"] + (point["sd"] or 0),
            "text": f"{point['curve']}, {point['size']}: {point['mean']} ({point['source']})",
        }
        for point in points
    ]
    value = {"tooltip": tooltip, "description": {"field": "text"}}
    return {
        "description": f"{title}. The values are in the table below the chart.",
        "data": {"values": bands},
        "params": [{"name": "paper", "value": visible}],
        "width": "container",
        "height": 300,
        "encoding": {"x": x},
        "layer": [
            {
                "transform": [_OURS],
                "mark": {"type": "area", "opacity": 0.15, "aria": False},
                "encoding": {
                    "y": y | {"field": "low", "stack": None},
                    "y2": {"field": "high"},
                    "color": color,
                },
            },
            {
                "transform": [_PAPERS],
                "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.75, "aria": False},
                "encoding": {"y": y, "color": color},
            },
            {
                "transform": [_PAPERS],
                "mark": {"type": "point", "size": 30, "strokeWidth": 1, "filled": False},
                "encoding": {"y": y, "color": color, **value},
            },
            {
                "transform": [_OURS],
                "mark": {"type": "line", "strokeWidth": 2, "aria": False},
                "encoding": {"y": y, "color": color, "strokeDash": dash},
            },
            {
                "transform": [_OURS],
                "mark": {"type": "point", "size": 70, "filled": True, "opacity": 1},
                "encoding": {"y": y, "color": color, "shape": shape, **value},
            },
        ],
    }


def _size_labels(points: Iterable[Mapping[str, Any]]) -> dict[int, list[str]]:
    """The two lines of each tick: the size, without what all names start with, and its number."""
    starts = {point["size"].rpartition("-")[0] for point in points if not point["paper"]}
    prefix = f"{starts.pop()}-" if len(starts) == 1 else ""
    return {
        point["parameters"]: [point["size"].removeprefix(prefix), short_count(point["parameters"])]
        for point in points
    }


def css_color(color: str) -> str:
    """A CSS variable for a colour of `figures.style`, which a dark page makes lighter."""
    return f"var(--series-{color.removeprefix('#').lower()}, {color})"
