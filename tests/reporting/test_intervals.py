"""Intervals are Student's where cells are alike, and variances of few seeds inform each other."""

import numpy as np
import pytest
from scipy import stats

from promptscale.reporting.claims.intervals import lowest
from promptscale.reporting.claims.quantities import Quantity, average
from promptscale.reporting.claims.variances import moderated

X, Y = Quantity({"x": 1.0}), Quantity({"y": 1.0})


def test_quantities_add_up():
    mean = average([X, Y + 2.0, 3.0 - X])
    assert mean.weights == pytest.approx({"x": 0.0, "y": 1 / 3})
    assert mean.constant == pytest.approx(5 / 3)
    assert (2.0 * X - 0.5 * Y).weights == {"x": 2, "y": -0.5}


def test_the_interval_of_a_single_cell_is_students():
    interval = lowest([X], {"x": np.array([1.0, 2.0, 3.0])})
    assert interval == pytest.approx((2, 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-3)


def test_the_interval_of_a_difference_is_that_of_the_pooled_t_test():
    x, y = np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.5, 7.0])
    expected = stats.ttest_ind(x, y).confidence_interval()
    assert lowest([X - Y], {"x": x, "y": y})[1:] == pytest.approx(tuple(expected))


def test_the_interval_of_several_parts_is_the_lowest_ones():
    samples = {"x": np.array([1.0, 2.0, 3.0]), "y": np.array([2.0, 3.0, 4.0])}
    interval = lowest([X, Y], samples)
    below, above = stats.t.ppf([0.975, 1 - 0.025 / 2], 4) / 3**0.5
    assert interval == pytest.approx((2, 2 - below, 2 + above))


def test_exact_numbers_have_no_width_and_single_values_no_interval():
    assert lowest([Quantity(constant=2.0), Quantity(constant=1.0)], {}) == (1, 1, 1)
    interval = lowest([X], {"x": np.array([5.0])})
    assert interval.value == 5 and np.isnan(interval[1:]).all()


def test_alike_variances_are_pooled():
    cells = [np.array([0.0, 1.0, 2.0]), np.array([5.0, 6.0, 7.0]), np.array([1.0])]
    variances, freedom = moderated(cells)
    assert variances == pytest.approx([1, 1, 1]) and freedom == pytest.approx([4, 4, 4])


def test_unlike_variances_are_shrunk_by_as_much_as_they_vary():
    """Cells with variances from a scaled inverse chi-squared distribution of 4 degrees."""
    generator = np.random.default_rng(0)
    true = 9 * 4 / generator.chisquare(4, 20_000)
    cells = [generator.normal(50, np.sqrt(variance), 3) for variance in true]
    variances, freedom = moderated(cells)
    assert freedom == pytest.approx(np.full(20_000, 2 + 4), rel=0.1)
    raw = np.array([cell.var(ddof=1) for cell in cells])
    expected = (2 * raw + 4 * 9) / 6
    assert np.median(variances / expected) == pytest.approx(1, rel=0.05)


def test_a_cell_without_variance_decides_nothing():
    """Three seeds at the same score are not certain of it."""
    generator = np.random.default_rng(0)
    cells = {str(place): generator.normal(50, 2, 3) for place in range(10)}
    interval = lowest([X - 49.0], cells | {"x": np.full(3, 50.0)})
    assert interval.low < 0 < interval.high


def test_a_sum_is_not_more_certain_than_its_noisiest_cell():
    """Shrinking takes the largest variance for too small; the sum keeps the sample variance."""
    generator = np.random.default_rng(0)
    cells = {str(place): generator.normal(50, 0.3, 3) for place in range(10)}
    noisy = np.array([40.0, 50.0, 60.0])
    interval = lowest([X], cells | {"x": noisy})
    assert interval.high - interval.value > 1.96 * noisy.std(ddof=1) / 3**0.5
