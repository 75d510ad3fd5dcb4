"""Ensembles of prompts (section 6, Table 3)."""

import pandas as pd

from promptscale.reporting import runs_table
from promptscale.reporting.claims.evidence import AbsentError, Statistic
from promptscale.reporting.claims.quantities import Quantity, average
from promptscale.reporting.claims.statistics.thresholds import MARGIN
from promptscale.reporting.context import Context

_SINGLE, _ENSEMBLE = "single", "ensemble"


def ensemble_beats_mean(context: Context) -> Statistic:
    """The ensemble less the mean of its prompts, mean over tasks."""
    single, voted = _ensemble(context)
    return _statistic(context, single, voted, [average(_gain(task) for task in single)])


def ensemble_beats_best(context: Context) -> Statistic:
    """The ensemble less the best of its prompts, mean over tasks, plus the margin."""
    single, voted = _ensemble(context)
    parts = [average(_gain(task) - _lead(single, task) for task in single) + MARGIN]
    return _statistic(context, single, voted, parts)


def ensemble_beats_best_on_every_task(context: Context) -> Statistic:
    """The ensemble less the best of its prompts on each task, plus the margin."""
    single, voted = _ensemble(context)
    parts = [_gain(task) - _lead(single, task) + MARGIN for task in single]
    return _statistic(context, single, voted, parts)


def _gain(task: str) -> Quantity:
    return Quantity({(_ENSEMBLE, task): 1.0, (_SINGLE, task): -1.0})


def _lead(single: pd.DataFrame, task: str) -> float:
    """How far the best prompt is above the mean of the prompts, in points."""
    return float(single[task].max() - single[task].mean())


def _ensemble(context: Context) -> tuple[pd.DataFrame, pd.Series]:
    """Scores of the single prompts (index seed, columns tasks) and of the ensemble by task."""
    scores = context.scores
    voted = scores[scores["method"] == "prompt_ensemble"]
    if voted.empty:
        raise AbsentError
    size = context.largest(voted["size"])
    single = runs_table.in_domain(scores[context.has_default(scores) & (scores["size"] == size)])
    together = voted[voted["size"] == size].set_index("eval_task")["score"]
    table = single.pivot_table(index="seed", columns="eval_task", values="score")
    tasks = [task for task in together.index if task in table and table[task].notna().all()]
    if not tasks:
        raise AbsentError
    return table[tasks], together[tasks]


def _statistic(
    context: Context, single: pd.DataFrame, voted: pd.Series, parts: list[Quantity]
) -> Statistic:
    """The statistic; there is a single ensemble, so its variance is that typical of the prompts.

    Votes vary less than single prompts, so this is cautious.
    """
    samples = {(_SINGLE, task): single[task].to_numpy() for task in single}
    samples |= {(_ENSEMBLE, task): voted[[task]].to_numpy() for task in single}
    floor = context.majority[list(single)].mean()
    return Statistic(parts, samples, bool(single.mean().mean() > floor))
