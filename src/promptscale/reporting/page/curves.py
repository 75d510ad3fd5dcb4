"""The learning curves of all runs, as compact data of the page and the chart that shows them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from promptscale.reporting.context import Context
from promptscale.reporting.figures import style
from promptscale.reporting.page.charts import css_color

_COLORS = (style.GREEN, style.ORANGE, style.BLUE, style.PURPLE, style.SKY, style.NAVY, style.PINK,
           style.BLACK)  # fmt: skip
METRICS = ("score", "loss")


def setting_of(run: Mapping[str, Any]) -> str:
    """The part of a run's name that stands between its size and its task."""
    start, end = f"{run['method']}/{run['size']}/", f"/seed_{run['seed']}"
    return run["run"].removeprefix(start).removesuffix(end).rpartition("/")[0]


def learning_curves(context: Context) -> list[dict[str, Any]]:
    """The curves of all runs with several steps, one for each task that they were evaluated on.

    Those of prompt tuning and of large models come first, as the page shows the first.

    Returns:
      For each curve its `run`, `method`, `size`, `task` (evaluated), `setting`, `seed`, `steps`,
      `selected` (the step that early stopping selected), and the values of each of `METRICS` at
      these steps (None where there is no value).
    """
    rows = context.runs[context.runs["metric"].isin(METRICS)]
    key = ["run", "eval_task"]
    values = rows.pivot(index=[*key, "step"], columns="metric", values="value")
    values = values.reindex(columns=list(METRICS))
    selected: Any = rows[rows["selected"]].groupby(key)["step"].max()
    described: Any = rows.drop_duplicates(key).set_index(key, drop=False).to_dict("index")
    curves = []
    for place, part in values.groupby(level=key, sort=False):
        if len(part) < 2:
            continue
        run = described[place]
        curves.append({
            "run": run["run"], "method": run["method"], "size": run["size"],
            "task": run["eval_task"], "setting": setting_of(run), "seed": run["seed"],
            "steps": part.index.get_level_values("step").tolist(),
            "selected": int(selected[place]),
            **{
                metric: [None if pd.isna(x) else round(x, 3) for x in part[metric].tolist()]
                for metric in METRICS
            },
        })  # fmt: skip

    def place_of(curve: dict[str, Any]) -> tuple[bool, int]:
        return curve["method"] != "prompt_tuning", -context.num_parameters(curve["size"])

    return sorted(curves, key=place_of)


def chart() -> dict[str, Any]:
    """The Vega-Lite specification; the page gives the rows of `curve` as its data set `rows`."""
    x = {"field": "step", "type": "quantitative", "title": "Step"}
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}}
    color = {
        "field": "setting", "type": "nominal", "title": None,
        "scale": {"range": [css_color(color) for color in _COLORS]},
    }  # fmt: skip
    tooltip = [
        {"field": field, "title": field.title()}
        for field in ("run", "task", "step", "value", "selected")
    ]
    detail = {"field": "run"}
    return {
        "description": "Learning curves of the chosen runs. The values are in the table below.",
        "data": {"name": "rows"},
        "width": "container",
        "height": 300,
        "encoding": {"x": x, "y": y, "color": color},
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.8, "aria": False},
                "encoding": {"detail": detail},
            },
            {
                "mark": {"type": "point", "filled": True, "opacity": 1},
                "encoding": {
                    "size": {"condition": {"test": "datum.selected", "value": 90}, "value": 25},
                    "tooltip": tooltip,
                    "description": {"field": "run"},
                },
            },
        ],
    }
