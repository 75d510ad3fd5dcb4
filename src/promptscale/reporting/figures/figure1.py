"""Figure 1: prompt tuning against model tuning and prompt design, by model size."""

import pandas as pd
from matplotlib.figure import Figure

from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting import paper
from promptscale.reporting.comparisons import by_size
from promptscale.reporting.context import Context
from promptscale.reporting.figures import paper_curves, style

LINES = {
    "model_tuning": style.Line("Model Tuning", style.ORANGE, "o"),
    "model_tuning_multitask": style.Line("Model Tuning (Multi-task)", style.NAVY, "s", (4, 1.5)),
    "prompt_design": style.Line("Prompt Design", style.SKY, "D", (1, 1)),
    "gpt3_prompt_design": style.Line("Prompt Design (GPT-3)", style.BLUE, "D", (1, 1)),
    "prompt_tuning": style.default_line("Prompt Tuning"),
}


def data(context: Context) -> pd.DataFrame:
    """The numbers of the figure: per method, size and seed the mean score over tasks.

    Prompt tuning is that of the default setting; ensembles are in Table 3 only. GPT-3's published
    few-shot scores over the same tasks are added to results of the paper's configuration, if GPT-3
    was evaluated on all of these tasks; so are the paper's curves (`paper_curves.beside`).

    Returns:
      The columns of `comparisons.by_size`, with `method` for the curve.
    Raises:
      ResultsError: see `comparisons.by_size`.
    """
    scores = context.scores
    other = scores["method"].isin(set(LINES) - {"prompt_tuning"})
    means = by_size(context, scores[other | context.has_default(scores)], "method")
    means = paper_curves.beside(context, means, "method", paper.curves(1))
    tasks = tuple(means["tasks"].iloc[0].split())
    if context.is_papers(means) and set(tasks) <= set(SUPER_GLUE):
        shared = means.loc[0, ["tasks", "origin", "label"]]
        gpt3 = paper.gpt3_scores(tasks).assign(
            method="gpt3_prompt_design", seed=0, diverged="", **shared
        )
        means = pd.concat([means, gpt3[list(means.columns)]], ignore_index=True)
    return means


def draw(context: Context, data: pd.DataFrame) -> Figure:
    """Draws what `data` returned, and the score of constant answers as a dotted line."""
    tasks = data["tasks"].iloc[0]
    published = paper_curves.are_papers(data, "method") | (data["method"] == "gpt3_prompt_design")
    with style.theme():
        figure = Figure(figsize=(style.COLUMN_WIDTH, 2.9), layout="constrained")
        axes = figure.subplots()
        style.curves(axes, data, LINES, "method", "score")
        paper_curves.draw(axes, data, LINES, "method")
        axes.set_ylabel(style.score_label(tasks))
        floor = float(context.majority[tasks.split()].mean())
        axes.axhline(floor, color="0.35", linewidth=0.8, linestyle=":", label="Majority Class")
        style.legend_below(figure, axes, columns=2)
        style.badge(figure, context.caption(data[~published]))
    return figure
