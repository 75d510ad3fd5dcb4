"""What Figures 1 and 3 plot: mean scores over tasks against the size of the model."""

from collections.abc import Mapping, Sequence

import pandas as pd

from promptscale import results
from promptscale.config.sizes import SIZES, ModelConfig, model_config
from promptscale.config.tasks import SUPER_GLUE, task
from promptscale.errors import ResultsError


def by_size(
    scores: pd.DataFrame,
    curve: str,
    tasks: Sequence[str] | None = None,
    architectures: Mapping[str, ModelConfig] = SIZES,
) -> pd.DataFrame:
    """The mean score over tasks of every curve, size and seed.

    Where a setting has more seeds than the others (the five prompts of an ensemble), only the seeds
    that all curves and sizes have are shown.

    Args:
      scores: rows of `results.selected_scores`, with the column `curve`.
      curve: the column that tells the curves apart.
      tasks: what the mean is over; by default the tasks that all curves have, or SuperGLUE's
        eight alone where they are among them.
      architectures: the architecture of every size.
    Returns:
      Columns `curve`, `size`, `parameters`, `seed`, `score`, `tasks` (space-separated) and
      `world`.
    Raises:
      ResultsError: no rows, several worlds, no task in common, or a seed that lacks a task.
    """
    if scores.empty:
        raise ResultsError("The results have no run of the configurations that this figure shows.")
    world = results.one_world(scores)
    scores = results.in_domain(scores)
    tasks = tuple(tasks or _common_tasks(scores, curve))
    scores = scores[scores["eval_task"].isin(tasks)]
    points = scores.groupby([curve, "size"])["seed"]
    scores = scores[scores["seed"].isin(set.intersection(*points.agg(set)))]
    means = results.mean_over_tasks(scores, tasks, by=[curve, "size"])
    counts = {
        name: model_config(name, dict(architectures)).num_parameters for name in means["size"]
    }
    means.insert(2, "parameters", means["size"].map(counts))
    means = means.assign(tasks=" ".join(tasks), world=world)
    return means.sort_values([curve, "parameters", "seed"], ignore_index=True)


def _common_tasks(scores: pd.DataFrame, curve: str) -> list[str]:
    found = [set(group) for _, group in scores.groupby(curve)["eval_task"]]
    common = set.intersection(*found)
    if not common:
        raise ResultsError(f"The results have no task that every {curve} was evaluated on.")
    if common >= set(SUPER_GLUE):
        return list(SUPER_GLUE)
    return sorted(common)


def score_label(tasks: str) -> str:
    """The y axis: the SuperGLUE score only where it is the mean of all eight tasks."""
    names = tasks.split()
    if set(names) == set(SUPER_GLUE):
        return "SuperGLUE Score"
    titles = [task(name).title for name in names]
    if len(titles) == 1:
        return f"{titles[0]} Score"
    over = f"{len(titles)} tasks" if len(titles) > 4 else ", ".join(titles)
    return f"Mean Score\n({over})"
