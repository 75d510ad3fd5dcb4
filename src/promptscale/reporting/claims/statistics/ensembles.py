"""Ensembles of prompts (section 6, Table 3)."""

import numpy as np

from promptscale.reporting import runs_table
from promptscale.reporting.claims.evidence import AbsentError, Statistic
from promptscale.reporting.claims.quantities import Cell, Quantity, average
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
    parts = [average(_gain(task) - _lead(values) for task, values in single.items()) + MARGIN]
    return _statistic(context, single, voted, parts)


def ensemble_beats_best_on_every_task(context: Context) -> Statistic:
    """The ensemble less the best of its prompts on each task, plus the margin."""
    single, voted = _ensemble(context)
    parts = [_gain(task) - _lead(values) + MARGIN for task, values in single.items()]
    return _statistic(context, single, voted, parts)


def _gain(task: str) -> Quantity:
    return Quantity({(_ENSEMBLE, task): 1.0, (_SINGLE, task): -1.0})


def _lead(values: np.ndarray) -> float:
    """How far the best prompt is above the mean of the prompts, in points."""
    return float(values.max() - values.mean())


def _ensemble(context: Context) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The scores of the single prompts, and of the ensemble, by task at the largest size."""
    scores = context.scores
    voted = scores[scores["method"] == "prompt_ensemble"]
    if voted.empty:
        raise AbsentError
    size = context.largest(voted["size"])
    voted = voted[voted["size"] == size]
    members = (scores["size"] == size) & scores["pretraining_seed"].isin(voted["pretraining_seed"])
    rows = runs_table.in_domain(scores[context.has_default(scores) & members])
    seeds = rows["seed"].nunique()
    single: dict[str, np.ndarray] = {}
    together: dict[str, float] = {}
    for task, score in zip(voted["eval_task"], voted["score"], strict=True):
        values = rows.loc[rows["eval_task"] == task, "score"].to_numpy()
        if 0 < len(values) == seeds:  # every prompt has a score
            single[task], together[task] = values, score
    if not single:
        raise AbsentError
    return single, together


def _statistic(
    context: Context,
    single: dict[str, np.ndarray],
    voted: dict[str, float],
    parts: list[Quantity],
) -> Statistic:
    """The statistic; there is a single ensemble, so its variance is that typical of the prompts.

    Votes vary less than single prompts, so this is cautious.
    """
    samples: dict[Cell, np.ndarray] = {}
    for task, values in single.items():
        samples[_SINGLE, task] = values
        samples[_ENSEMBLE, task] = np.array([voted[task]])
    mean = np.mean([values.mean() for values in single.values()])
    return Statistic(parts, samples, bool(mean > context.majority[list(single)].mean()))
