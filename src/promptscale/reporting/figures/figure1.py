"""Figure 1: prompt tuning against model tuning and prompt design, by model size."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting import paper, runs_table
from promptscale.reporting.figures import style
from promptscale.reporting.figures.scores import by_size, score_label

LINES = {
    "model_tuning": style.Line("Model Tuning", style.ORANGE, "o"),
    "model_tuning_multitask": style.Line("Model Tuning (Multi-task)", style.NAVY, "s", (4, 1.5)),
    "prompt_design": style.Line("Prompt Design", style.SKY, "D", (1, 1)),
    "gpt3_prompt_design": style.Line("Prompt Design (GPT-3)", style.BLUE, "D", (1, 1)),
    "prompt_tuning": style.default_line("Prompt Tuning"),
}


def data(
    runs: pd.DataFrame,
    default: runs_table.PromptSetting,
    tasks: Sequence[str] | None = None,
    architectures: Mapping[str, ModelConfig] = SIZES,
) -> pd.DataFrame:
    """What the figure plots: per method, size and seed the mean score over tasks.

    Prompt tuning is that of the `default` setting; ensembles are Table 3's. GPT-3's published
    few-shot scores are added in the paper's world alone, over the same tasks, if GPT-3 was
    evaluated on all of them.

    Returns:
      Columns `method`, `size`, `parameters`, `seed`, `score`, `tasks`, `world`.
    Raises:
      ResultsError: see `figures.scores.by_size`.
    """
    scores = runs_table.selected_scores(runs)
    other = scores["method"].isin(set(LINES) - {"prompt_tuning"})
    scores = scores[other | runs_table.has_setting(scores, default)]
    means = by_size(scores, "method", tasks, architectures)
    names = tuple(means["tasks"].iloc[0].split())
    if runs_table.one_world(means) == "paper" and set(names) <= set(SUPER_GLUE):
        gpt3 = paper.gpt3_scores(names).assign(
            method="gpt3_prompt_design", seed=0, tasks=" ".join(names), world="paper"
        )
        means = pd.concat([means, gpt3[list(means.columns)]], ignore_index=True)
    return means


def draw(data: pd.DataFrame, floor: int | float | None = None) -> Figure:
    """Draws what `data` returned.

    Args:
      floor: score of always answering with the most frequent class, as a dotted line.
    """
    with style.theme():
        figure = Figure(figsize=(style.COLUMN_WIDTH, 2.9), layout="constrained")
        axes = figure.subplots()
        style.curves(axes, data, LINES, "method", "score")
        axes.set_ylabel(score_label(data["tasks"].iloc[0]))
        if floor is not None:
            axes.axhline(floor, color="0.35", linewidth=0.8, linestyle=":", label="Majority Class")
        style.legend_below(figure, axes, columns=2)
        style.badge(figure, runs_table.one_world(data), data["size"].nunique())
    return figure
