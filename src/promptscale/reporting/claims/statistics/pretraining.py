"""The pre-training objective and LM adaptation (section 3.2, Figures 3c and 3d)."""

import itertools

from promptscale.reporting.claims.evidence import AbsentError, Scores, Statistic, along
from promptscale.reporting.claims.statistics.thresholds import SMALL_SHARE
from promptscale.reporting.context import Context

_SPAN, _SENTINEL = "span_corruption", "span_corruption_sentinel"


def adaptation_beats_span_corruption(context: Context) -> Statistic:
    """The default's LM adaptation less span corruption, mean over sizes."""
    return _adaptation_less(context, _SPAN)


def adaptation_beats_sentinel(context: Context) -> Statistic:
    """The default's LM adaptation less span corruption with a sentinel, mean over sizes."""
    return _adaptation_less(context, _SENTINEL)


def _adaptation_less(context: Context, objective: str) -> Statistic:
    scores = _objectives(context, objective)
    return scores.statistic([scores.over(scores.default) - scores.over(objective)])


def sentinel_helps_little(context: Context) -> Statistic:
    """A share of the gain by LM adaptation, less the gain by a sentinel, mean over sizes."""
    scores = _objectives(context, _SPAN, _SENTINEL)
    span = scores.over(_SPAN)
    part = SMALL_SHARE * (scores.over(scores.default) - span) - (scores.over(_SENTINEL) - span)
    return scores.statistic([part])


def middle_sizes_fail(context: Context) -> Statistic:
    """Under span corruption, the smallest size less each size between it and the largest."""
    scores = _objectives(context, _SPAN)
    smallest, *middle, _ = scores.sizes
    if not middle:
        raise AbsentError
    parts = [scores.at(_SPAN, smallest) - scores.at(_SPAN, size) for size in middle]
    return scores.statistic(parts)


def _objectives(context: Context, *others: str) -> Scores:
    """The scores with LM adaptation, which is the default, and with other objectives."""
    if context.default["objective"] != "lm_adaptation":
        raise AbsentError
    return along(context, "pretraining_objective", *others)


def longer_adaptation(context: Context) -> Statistic:
    """Each number of steps less the next smaller number, mean over sizes."""
    scores = along(context, "lm_adaptation_steps")
    means = [scores.over(str(steps)) for steps in sorted(map(int, scores.curves))]
    parts = [longer - shorter for shorter, longer in itertools.pairwise(means)]
    return scores.statistic(parts)
