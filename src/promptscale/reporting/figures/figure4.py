"""Figure 4: task-specific parameters of adaptation methods, exact at the paper's sizes."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from promptscale.reporting.context import Context
from promptscale.reporting.figures import style
from promptscale.reporting.parameter_counts import task_parameters

LINES = {
    "model_tuning": style.Line("Model Tuning", style.ORANGE, "o"),
    "prefix_tuning_training": style.Line("Prefix Tuning (Train)", style.NAVY, "^", (1, 1)),
    "prefix_tuning": style.Line("Prefix Tuning (Infer)", style.BLUE, "v", (4, 1.5)),
    # WARP nearly coincides with prompt tuning: a wide line that shows beneath it.
    "warp": style.Line("WARP", style.PINK, "s", width=3.6),
    "prompt_tuning": style.default_line("Prompt Tuning"),
    "prompt_design": style.Line("Prompt Design", style.SKY, "D", (1, 1)),
}


def data(context: Context) -> pd.DataFrame:
    """The numbers of the figure (`parameter_counts.task_parameters`); they need no runs."""
    return task_parameters()


def draw(context: Context, data: pd.DataFrame) -> Figure:
    """Draws what `data` returned: bands are mean ± sd over the lengths, both axes logarithmic."""
    with style.theme():
        figure = Figure(figsize=(style.COLUMN_WIDTH, 3.0), layout="constrained")
        axes = figure.subplots()
        style.curves(axes, data, LINES, "method", "percent")
        axes.set_yscale("log")
        axes.set_ylabel("Task Parameters (%)")
        axes.yaxis.set_major_locator(FixedLocator([10.0**power for power in range(-5, 3)]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(
            lambda value, _: f"{value:.6f}".rstrip("0").rstrip(".") + "%"
        )
        style.legend_below(figure, axes, columns=2)
    return figure
