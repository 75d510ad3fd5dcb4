"""The learning curves of all runs, as compact data of the page and the chart that shows them."""

from typing import Any

import pandas as pd

from promptscale.reporting.context import Context
from promptscale.reporting.figures import style
from promptscale.reporting.page.charts import css_color
from promptscale.reporting.page.run_labels import run_labels

_COLORS = (style.GREEN, style.ORANGE, style.BLUE, style.PURPLE, style.SKY, style.NAVY, style.PINK,
           style.BLACK, "#D55E00", "#8C564B", "#767676", "#7A7A00")  # fmt: skip
# As there are more colours than patterns, and no common divisor, 60 lines differ.
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3])
METRICS = ("score", "loss")


def learning_curves(context: Context) -> list[dict[str, Any]]:
    """The curves of all runs with several steps, one for each task that they were evaluated on.

    They are in the order of `RunLabel.place`, as the page shows the first.

    Returns:
      For each curve its `run`, `method`, `size`, `task` (evaluated), `setting` (in words), `seed`,
      `steps`, `selected` (the step that early stopping selected), and the values of each of
      `METRICS` at these steps (None where there is no value).
    """
    rows = context.runs[context.runs["metric"].isin(METRICS)]
    key = ["run", "eval_task"]
    values = rows.pivot(index=[*key, "step"], columns="metric", values="value")
    values = values.reindex(columns=list(METRICS))
    selected: Any = rows[rows["selected"]].groupby(key)["step"].max()
    described: Any = rows.drop_duplicates(key).set_index(key, drop=False).to_dict("index")
    labels: Any = run_labels(context)
    curves = []
    for place, part in values.groupby(level=key, sort=False):
        if len(part) < 2:
            continue
        run = described[place]
        curves.append({
            "run": run["run"], "method": run["method"], "size": run["size"],
            "task": run["eval_task"], "setting": labels[place].setting, "seed": run["seed"],
            "steps": part.index.get_level_values("step").tolist(),
            "selected": int(selected[place]),
            **{
                metric: [None if pd.isna(x) else round(x, 3) for x in part[metric].tolist()]
                for metric in METRICS
            },
        })  # fmt: skip

    return sorted(curves, key=lambda curve: labels[curve["run"], curve["task"]].place)


def chart() -> dict[str, Any]:
    """The Vega-Lite specification; the page gives the lines as its data set `rows`."""
    x = {
        "field": "step", "type": "quantitative", "title": "Step",
        "scale": {"zero": False, "nice": False, "padding": 14},
    }  # fmt: skip
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}}
    legend = {"symbolType": "stroke", "symbolSize": 500, "symbolStrokeWidth": 2}
    line = {"field": "line", "type": "nominal", "title": None, "sort": None, "legend": legend}
    color = line | {"scale": {"range": [css_color(color) for color in _COLORS]}}
    dash = line | {"scale": {"range": _DASHES}}
    tooltip = [
        {"field": field, "title": field.title()}
        for field in ("line", "step", "value", "runs", "selected")
    ]
    return {
        "description": "Learning curves of the chosen runs. Their values are in the table below.",
        "data": {"name": "rows"},
        "width": "container",
        "height": 300,
        "encoding": {"x": x, "y": y, "color": color, "strokeDash": dash},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 2, "aria": False}},
            {
                "mark": {"type": "point", "filled": True, "opacity": 1},
                "encoding": {
                    "size": {
                        "condition": {"test": "datum.selected === 'yes'", "value": 90},
                        "value": 25,
                    },
                    "tooltip": tooltip,
                    "description": {"field": "text"},
                },
            },
        ],
    }
