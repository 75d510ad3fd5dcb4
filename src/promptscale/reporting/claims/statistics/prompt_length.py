"""The length of the prompt (section 3.2, Figure 3a).

The lengths are those of the configuration. The paper's 100 tokens are the default's length, and its
20 the longest length below that.
"""

from promptscale.reporting.claims.evidence import AbsentError, Scores, Statistic, along
from promptscale.reporting.claims.quantities import Quantity, average
from promptscale.reporting.claims.statistics.thresholds import SMALL_SHARE, STRONG_SHARE
from promptscale.reporting.context import Context

_AXIS = "prompt_length"


def one_token_short(context: Context) -> Statistic:
    """The default length less a single token, at every size but the largest."""
    scores = along(context, _AXIS, "1")
    return scores.statistic(_losses(scores)[:-1])


def one_token_enough(context: Context) -> Statistic:
    """A single token less 90 % of the default length's score, at the largest size."""
    scores = along(context, _AXIS, "1")
    largest = scores.sizes[-1]
    part = scores.at("1", largest) - STRONG_SHARE * scores.at(scores.default, largest)
    return scores.statistic([part])


def one_token_loses_least(context: Context) -> Statistic:
    """The loss with a single token at every other size, less the loss at the largest."""
    scores = along(context, _AXIS, "1")
    *others, largest = _losses(scores)
    return scores.statistic([loss - largest for loss in others])


def _losses(scores: Scores) -> list[Quantity]:
    """The default length less a single token, at each size."""
    return [scores.at(scores.default, size) - scores.at("1", size) for size in scores.sizes]


def beyond_twenty(context: Context) -> Statistic:
    """A share of the gain from the shortest length to the anchor, less each gain beyond it."""
    scores = along(context, _AXIS)
    lengths = sorted(map(int, scores.curves))
    below = [length for length in lengths if length < int(scores.default)]
    if len(below) < 2:
        raise AbsentError
    shortest, anchor = scores.over(str(below[0])), scores.over(str(below[-1]))
    longer = [scores.over(str(length)) for length in lengths if length > below[-1]]
    parts = [SMALL_SHARE * (anchor - shortest) - (score - anchor) for score in longer]
    return scores.statistic(parts)


def too_long_harms(context: Context) -> Statistic:
    """The default length less longer ones, mean over the lengths and the larger half of sizes."""
    scores = along(context, _AXIS)
    longer = [curve for curve in scores.curves if int(curve) > int(scores.default)]
    if not longer:
        raise AbsentError
    larger = scores.sizes[len(scores.sizes) // 2 :]
    mean = average(scores.over(curve, larger) for curve in longer)
    return scores.statistic([scores.over(scores.default, larger) - mean])
