"""Robustness to the choices of section 3.2 (Figure 3's caption)."""

from promptscale.reporting.claims.evidence import Statistic, along
from promptscale.reporting.claims.quantities import Quantity, average
from promptscale.reporting.context import Context


def robust_to_length(context: Context) -> Statistic:
    """As `_largest_is_robust`, for the prompt's length."""
    return _largest_is_robust(context, "prompt_length")


def robust_to_initialization(context: Context) -> Statistic:
    """As `_largest_is_robust`, for the initialisation."""
    return _largest_is_robust(context, "initialization")


def robust_to_objective(context: Context) -> Statistic:
    """As `_largest_is_robust`, for the pre-training objective."""
    return _largest_is_robust(context, "pretraining_objective")


def robust_to_adaptation(context: Context) -> Statistic:
    """As `_largest_is_robust`, for the steps of LM adaptation."""
    return _largest_is_robust(context, "lm_adaptation_steps")


def _largest_is_robust(context: Context, axis: str) -> Statistic:
    """The mean loss by a choice's other settings at a smaller size, less that at the largest.

    A loss is the default's score less another setting's. A range over settings would grow with
    the noise of the seeds; this difference does not.
    """
    scores = along(context, axis)
    others = [curve for curve in scores.curves if curve != scores.default]

    def loss(size: str) -> Quantity:
        mean = average(scores.at(curve, size) for curve in others)
        return scores.at(scores.default, size) - mean

    *smaller, largest = scores.sizes
    return scores.statistic([average(map(loss, smaller)) - loss(largest)])
