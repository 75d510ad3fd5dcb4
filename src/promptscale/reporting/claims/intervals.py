"""Estimates of quantities with 95 % intervals."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from promptscale.reporting.claims.quantities import Cell, Quantity
from promptscale.reporting.claims.variances import moderated

Samples = Mapping[Cell, np.ndarray]  # the values of each cell, one per seed


class Interval(NamedTuple):
    """An estimate and the ends of its interval; nan where they are unknown."""

    value: float
    low: float
    high: float


class _Moments(NamedTuple):
    """A cell's mean, two variances of this mean, and the degrees of freedom of the first."""

    mean: float
    moderated: float
    sample: float
    freedom: float


def lowest(parts: Sequence[Quantity], samples: Samples) -> Interval:
    """The value of the lowest of several parts and its 95 % interval.

    Which part is truly the lowest is unknown, so each end is the lowest of all parts' ends. The
    upper ends are taken at the level 0.025 / parts (Bonferroni), as the lowest of several upper
    ends is low by chance more often than a single end.
    """
    cells = _moments(samples)
    total = sum(len(values) - 1 for values in samples.values())
    means, errors, degrees = np.array([_estimate(part, cells, total) for part in parts]).T
    below = stats.t.ppf(0.975, degrees) * errors
    above = stats.t.ppf(1 - 0.025 / len(parts), degrees) * errors
    return Interval(*(float(ends.min()) for ends in (means, means - below, means + above)))


def _moments(samples: Samples) -> dict[Cell, _Moments]:
    variances, freedom = moderated(list(samples.values()))
    cells = {}
    for (cell, values), variance, degrees in zip(samples.items(), variances, freedom, strict=True):
        count = len(values)
        sample = values.var(ddof=1) if count > 1 else variance
        cells[cell] = _Moments(values.mean(), variance / count, sample / count, degrees)
    return cells


def _estimate(
    quantity: Quantity, cells: Mapping[Cell, _Moments], total: int
) -> tuple[float, float, float]:
    """Mean, standard error and degrees of freedom (Welch and Satterthwaite, at most `total`).

    Shrinking makes the largest variances too small. A sum that they dominate would be too certain,
    so its variance is at least that from the sample variances of its cells.
    """
    terms = [(weight, cells[cell]) for cell, weight in quantity.weights.items() if weight]
    mean = quantity.constant + sum(weight * cell.mean for weight, cell in terms)
    moderate = sum(weight**2 * cell.moderated for weight, cell in terms)
    sample = sum(weight**2 * cell.sample for weight, cell in terms)
    squares = sum((weight**2 * cell.moderated) ** 2 / cell.freedom for weight, cell in terms)
    freedom = np.inf if squares == 0 else min(moderate**2 / squares, total)
    return float(mean), float(np.sqrt(max(sample, moderate))), float(freedom)
