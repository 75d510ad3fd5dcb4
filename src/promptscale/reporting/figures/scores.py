"""What Figures 1 and 3 plot: mean scores over tasks against the size of the model."""

from collections.abc import Mapping, Sequence

import pandas as pd

from promptscale.config.sizes import SIZES, ModelConfig, model_config
from promptscale.config.tasks import SUPER_GLUE, task
from promptscale.errors import ResultsError
from promptscale.reporting import runs_table


def by_size(
    scores: pd.DataFrame,
    curve: str,
    tasks: Sequence[str] | None = None,
    architectures: Mapping[str, ModelConfig] = SIZES,
) -> pd.DataFrame:
    """The mean score over tasks of every curve, size and seed.

    Points are comparable: all are over the same tasks, and where a setting has more seeds than the
    others (the five prompts of an ensemble), only the seeds that all curves and sizes have count.

    Args:
      scores: rows of `runs_table.selected_scores`, with the column `curve`.
      curve: the column that tells the curves apart.
      tasks: what the mean is over; by default SuperGLUE's eight where all curves have them, else
        the tasks that all curves have at all of their sizes.
      architectures: the architecture of every size.
    Returns:
      Columns `curve`, `size`, `parameters`, `seed`, `score`, `tasks` (space-separated) and
      `world`.
    Raises:
      ResultsError: no rows, several worlds, no task or no seed in common, or a seed that lacks a
        task.
    """
    if scores.empty:
        raise ResultsError("The results have no run of the configurations that this figure shows.")
    world = runs_table.one_world(scores)
    scores = runs_table.in_domain(scores)
    tasks = tuple(tasks or _common_tasks(scores, curve))
    scores = scores[scores["eval_task"].isin(tasks)]
    scores = scores[scores["seed"].isin(_common(scores, [curve, "size"], "seed"))]
    if scores.empty:
        raise ResultsError(f"The results have no seed that every {curve} has at every size.")
    means = runs_table.mean_over_tasks(scores, tasks, by=[curve, "size"])
    counts = {
        name: model_config(name, dict(architectures)).num_parameters for name in means["size"]
    }
    means.insert(2, "parameters", means["size"].map(counts))
    means = means.assign(tasks=" ".join(tasks), world=world)
    return means.sort_values([curve, "parameters", "seed"], ignore_index=True)


def _common_tasks(scores: pd.DataFrame, curve: str) -> list[str]:
    if _common(scores, [curve], "eval_task") >= set(SUPER_GLUE):
        return list(SUPER_GLUE)  # one that is missing at some size is an error, not another mean
    common = _common(scores, [curve, "size"], "eval_task")
    if not common:
        raise ResultsError(f"The results have no task that every {curve} was evaluated on.")
    return sorted(common)


def _common(scores: pd.DataFrame, by: Sequence[str], column: str) -> set:
    """The values of `column` that all groups have."""
    return set.intersection(*(set(group) for _, group in scores.groupby(list(by))[column]))


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
