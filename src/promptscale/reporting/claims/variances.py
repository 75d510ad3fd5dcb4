"""Variances of cells of few seeds, each shrunk towards that of all cells.

Three seeds give a variance with two degrees of freedom, and an interval of 4.3 standard errors. The
cells of an experiment know more together. Their variances differ, however (from 0.1 to 50 squared
points in the paper's Figure 3), so a single pooled variance would be wrong for most of them. The
empirical-Bayes estimate of Smyth (2004, Statistical Applications in Genetics and Molecular
Biology 3, article 3, sections 3 and 6.2) finds from the spread of the variances how far to shrink.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import optimize, special

# Where scores are a few fixed values, a cell can have no variance by chance. Its variance counts as
# this share of the median variance, or of the mean variance if the median is zero.
_LEAST_SHARE = 0.01


def moderated(
    samples: Sequence[Float[np.ndarray, " _"]],
) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
    """The moderated variance of each cell, and its degrees of freedom.

    A cell with a single value gets the variance to which the others are shrunk.

    Args:
      samples: the values of each cell.
    Returns:
      The variances and the degrees of freedom; nan where no cell has two values.
    """
    freedom = np.array([len(sample) - 1.0 for sample in samples])
    several = freedom > 0
    if not several.any():
        return np.full(len(samples), np.nan), np.full(len(samples), np.nan)
    raw = np.array([sample.var(ddof=1) if len(sample) > 1 else 0.0 for sample in samples])
    typical = np.median(raw[several]) or np.mean(raw[several])
    raw[several] = np.maximum(raw[several], _LEAST_SHARE * typical)
    total = freedom.sum()
    common, worth = _prior(raw[several], freedom[several])
    if np.isinf(worth):
        return np.full(len(samples), common), np.full(len(samples), total)
    sums = raw * freedom + worth * common
    return sums / (freedom + worth), np.minimum(freedom + worth, total)


def _prior(
    variances: Float[np.ndarray, " cells"], freedom: Float[np.ndarray, " cells"]
) -> tuple[float, float]:
    """The variance that cells are shrunk to, and how many degrees of freedom it is worth.

    The degrees are infinite where the variances differ by no more than chance, or where there is
    nothing to learn their spread from.
    """
    pooled = float(np.average(variances, weights=freedom))
    if len(variances) < 2 or pooled == 0:
        return pooled, np.inf
    half = freedom / 2
    logs = np.log(variances) - special.digamma(half) + np.log(half)
    spread = logs.var(ddof=1) - special.polygamma(1, half).mean()
    if spread <= special.polygamma(1, 1e3):
        return pooled, np.inf
    worth = optimize.brentq(lambda x: special.polygamma(1, x) - spread, 1e-3, 1e3)
    return float(np.exp(logs.mean() + special.digamma(worth) - np.log(worth))), 2 * worth
