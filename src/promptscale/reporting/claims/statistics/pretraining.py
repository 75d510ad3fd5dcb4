"""The pre-training objective and LM adaptation (section 3.2, Figures 3c and 3d)."""

import itertools

from promptscale.reporting.claims.evidence import AbsentError, Scores, Statistic, along
from promptscale.reporting.claims.statistics.thresholds import SMALL_SHARE
from promptscale.reporting.context import Context


def _span(context: Context, ending: str = "") -> str:
    """Span corruption for as many steps as the default's model was trained, if results have it."""
    equally_long = f"span_corruption_continued{ending}"
    trained = (context.scores["objective"] == equally_long).any()
    return equally_long if trained else f"span_corruption{ending}"


def adaptation_beats_span_corruption(context: Context) -> Statistic:
    """The default's LM adaptation less span corruption, mean over sizes."""
    return _adaptation_less(context, _span(context))


def adaptation_beats_sentinel(context: Context) -> Statistic:
    """The default's LM adaptation less span corruption with a sentinel, mean over sizes."""
    return _adaptation_less(context, _span(context, "_sentinel"))


def _adaptation_less(context: Context, objective: str) -> Statistic:
    scores = _objectives(context, objective)
    return scores.statistic([scores.over(scores.default) - scores.over(objective)])


def sentinel_helps_little(context: Context) -> Statistic:
    """A share of the gain by LM adaptation, less the gain by a sentinel, mean over sizes."""
    objective, marked = _span(context), _span(context, "_sentinel")
    scores = _objectives(context, objective, marked)
    span = scores.over(objective)
    part = SMALL_SHARE * (scores.over(scores.default) - span) - (scores.over(marked) - span)
    return scores.statistic([part])


def middle_sizes_fail(context: Context) -> Statistic:
    """Under span corruption, the smallest size less each size between it and the largest."""
    objective = _span(context)
    scores = _objectives(context, objective)
    smallest, *middle, _ = scores.sizes
    if not middle:
        raise AbsentError
    parts = [scores.at(objective, smallest) - scores.at(objective, size) for size in middle]
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
