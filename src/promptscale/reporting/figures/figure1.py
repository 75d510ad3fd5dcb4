"""Figure 1: prompt tuning against model tuning and prompt design, by model size."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from promptscale.config.axes import Row
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting import paper, runs_table
from promptscale.reporting.comparisons import by_size
from promptscale.reporting.figures import style
from promptscale.reporting.provenance import caption, is_papers, provenance

LINES = {
    "model_tuning": style.Line("Model Tuning", style.ORANGE, "o"),
    "model_tuning_multitask": style.Line("Model Tuning (Multi-task)", style.NAVY, "s", (4, 1.5)),
    "prompt_design": style.Line("Prompt Design", style.SKY, "D", (1, 1)),
    "gpt3_prompt_design": style.Line("Prompt Design (GPT-3)", style.BLUE, "D", (1, 1)),
    "prompt_tuning": style.default_line("Prompt Tuning"),
}


def data(
    runs: pd.DataFrame, default: Row, architectures: Mapping[str, ModelConfig] = SIZES
) -> pd.DataFrame:
    """The numbers of the figure: per method, size and seed the mean score over tasks.

    Prompt tuning is that of the `default` setting; ensembles are in Table 3 only. GPT-3's published
    few-shot scores over the same tasks are added to results of the paper's configuration, if GPT-3
    was evaluated on all of these tasks.

    Returns:
      Columns `method`, `size`, `parameters`, `seed`, `score`, `tasks`, `origin`, `label`.
    Raises:
      ResultsError: see `comparisons.by_size`.
    """
    scores = runs_table.selected_scores(runs)
    other = scores["method"].isin(set(LINES) - {"prompt_tuning"})
    scores = scores[other | runs_table.has_setting(scores, default)]
    means = by_size(scores, "method", architectures)
    names = tuple(means["tasks"].iloc[0].split())
    origin, label = provenance(means)
    if is_papers(means, architectures) and set(names) <= set(SUPER_GLUE):
        gpt3 = paper.gpt3_scores(names).assign(
            method="gpt3_prompt_design", seed=0, tasks=" ".join(names), origin=origin, label=label
        )
        means = pd.concat([means, gpt3[list(means.columns)]], ignore_index=True)
    return means


def draw(
    data: pd.DataFrame,
    floor: int | float | None = None,
    architectures: Mapping[str, ModelConfig] = SIZES,
) -> Figure:
    """Draws what `data` returned.

    Args:
      floor: the score of always answering with the most frequent class, as a dotted line.
      architectures: the architecture of every size.
    """
    with style.theme():
        figure = Figure(figsize=(style.COLUMN_WIDTH, 2.9), layout="constrained")
        axes = figure.subplots()
        style.curves(axes, data, LINES, "method", "score")
        axes.set_ylabel(style.score_label(data["tasks"].iloc[0]))
        if floor is not None:
            axes.axhline(floor, color="0.35", linewidth=0.8, linestyle=":", label="Majority Class")
        style.legend_below(figure, axes, columns=2)
        style.badge(figure, caption(data[data["method"] != "gpt3_prompt_design"], architectures))
    return figure
