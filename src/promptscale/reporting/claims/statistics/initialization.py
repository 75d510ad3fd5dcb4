"""What a prompt starts from (section 3.2, Figure 3b)."""

from promptscale.reporting.claims.evidence import Scores, Statistic, along
from promptscale.reporting.claims.quantities import Quantity
from promptscale.reporting.claims.statistics.thresholds import MARGIN, SMALL_SHARE
from promptscale.reporting.context import Context


def labels_at_least_as_good(context: Context) -> Statistic:
    """Class labels less each other initialisation, mean over sizes, plus the margin."""
    scores = _scores(context)
    others = ("sampled_vocab", "random_uniform")
    parts = [scores.over("class_label") - scores.over(other) + MARGIN for other in others]
    return scores.statistic(parts)


def uniform_lags(context: Context) -> Statistic:
    """The lag of uniform values, mean over the sizes below the largest."""
    scores = _scores(context)
    return scores.statistic([_lag(scores, scores.sizes[:-1])])


def uniform_lag_vanishes(context: Context) -> Statistic:
    """A share of the mean lag below the largest size, less the lag at the largest."""
    scores = _scores(context)
    part = SMALL_SHARE * _lag(scores, scores.sizes[:-1]) - _lag(scores, scores.sizes[-1:])
    return scores.statistic([part])


def _scores(context: Context) -> Scores:
    return along(context, "initialization", "class_label", "sampled_vocab", "random_uniform")


def _lag(scores: Scores, sizes: list[str]) -> Quantity:
    """The mean of class labels and sampled vocabulary less uniform values."""
    informed = 0.5 * (scores.over("class_label", sizes) + scores.over("sampled_vocab", sizes))
    return informed - scores.over("random_uniform", sizes)
