"""Scores that are comparable: what the figures plot and the claims test."""

from collections.abc import Sequence

import pandas as pd

from promptscale.config.axes import AXES
from promptscale.config.tasks import SUPER_GLUE
from promptscale.errors import ResultsError
from promptscale.reporting import runs_table
from promptscale.reporting.context import Context
from promptscale.reporting.provenance import provenance


def by_size(context: Context, scores: pd.DataFrame, curve: str) -> pd.DataFrame:
    """The mean score over tasks of every curve, size and seed.

    All points are over the same tasks: SuperGLUE's eight if all curves have them, else the tasks
    that all curves have at all of their sizes. Where a setting has more seeds than the others (the
    five prompts of an ensemble), only the seeds that all curves have at all sizes count. `scores`
    are rows of `context.scores`, with a column `curve` that tells the curves apart.

    Returns:
      Columns `curve`, `size`, `parameters`, `seed`, `score`, `tasks` and `diverged` (names of tasks
      and of diverged runs, separated by spaces), `origin` and `label`.
    Raises:
      ResultsError: no rows, several origins or labels, no task or no seed in common, or a seed that
        lacks a task.
    """
    scores = runs_table.in_domain(scores)
    if scores.empty:
        raise ResultsError("The results have no run of the configurations that this figure shows.")
    source = provenance(scores)
    tasks = _common_tasks(scores, curve)
    scores = scores[scores["eval_task"].isin(tasks)]
    scores = scores[scores["seed"].isin(_common(scores, [curve, "size"], "seed"))]
    if scores.empty:
        raise ResultsError(f"The results have no seed that every {curve} has at every size.")
    means = runs_table.mean_over_tasks(scores, tasks, by=[curve, "size"])
    means.insert(2, "parameters", means["size"].map(context.num_parameters))
    stopped = scores.assign(diverged=scores["run"].where(scores["run"].isin(context.diverged), ""))
    names = stopped.groupby([curve, "size", "seed"])["diverged"].agg(_joined)
    means = means.join(names, on=[curve, "size", "seed"])
    means = means.assign(tasks=" ".join(tasks), **source._asdict())
    return means.sort_values([curve, "parameters", "seed"], ignore_index=True)


def _joined(names: pd.Series) -> str:
    return " ".join(sorted(set(names) - {""}))


def _common_tasks(scores: pd.DataFrame, curve: str) -> list[str]:
    if _common(scores, [curve], "eval_task") >= set(SUPER_GLUE):
        return list(SUPER_GLUE)  # a task that a size lacks is an error, not a mean over fewer
    common = _common(scores, [curve, "size"], "eval_task")
    if not common:
        raise ResultsError(f"The results have no task that every {curve} was evaluated on.")
    return sorted(common)


def _common(scores: pd.DataFrame, by: Sequence[str], column: str) -> set:
    """The values of `column` that all groups have."""
    return set.intersection(*(set(group) for _, group in scores.groupby(list(by))[column]))


def along_axis(context: Context, name: str) -> pd.DataFrame:
    """The scores of prompt tuning along the ablation axis `name`, with the column `curve`.

    Their settings differ from the default in the axis's columns only, and the axis's panel shows
    them (`axes.Panel.curve`). A curve that lacks a task which others share is left out: some
    lengths are tuned on the task of Table 5 alone.
    """
    axis = AXES[name]
    varied = [column.name for column in axis.columns]
    rows = context.scores[context.has_default(context.scores, except_for=varied)]
    curves = [axis.curve(row, context.default) for row in rows.to_dict("records")]
    rows = rows.assign(curve=pd.Series(curves, rows.index, dtype=object)).dropna(subset="curve")
    if rows.empty:
        return rows
    counts = rows.groupby("eval_task")["curve"].nunique()
    shared = set(counts.index[counts > 1])
    return rows[rows.groupby("curve")["eval_task"].transform(lambda tasks: shared <= set(tasks))]
