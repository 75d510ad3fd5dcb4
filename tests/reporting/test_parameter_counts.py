"""Figure 4's numbers, against the percentages recomputed for it from the methods' papers.

The expected numbers are `paper_and_released_code.md` section 10; its prefix-tuning percentages
are of the frozen model alone.
"""

import pytest

from promptscale.config.sizes import PAPER_SIZES
from promptscale.reporting import parameter_counts

SIZES = tuple(PAPER_SIZES)


def of_frozen(count: int, size: str) -> float:
    return 100 * count / PAPER_SIZES[size].num_parameters


@pytest.mark.parametrize(
    ("per_layer", "expected"),
    [
        (1, (0.53, 0.37, 0.31, 0.17, 0.088)),
        (2, (1.06, 0.74, 0.63, 0.35, 0.177)),
        (6, (3.19, 2.23, 1.88, 1.03, 0.53)),
    ],
)
def test_prefix_tuning_of_100_positions(per_layer, expected):
    for size, percent in zip(SIZES, expected, strict=True):
        counts = parameter_counts.by_method(PAPER_SIZES[size], 100, activations_per_layer=per_layer)
        assert of_frozen(counts["prefix_tuning"], size) == pytest.approx(percent, rel=0.02)


@pytest.mark.parametrize(
    ("hidden", "expected", "digit"),
    [(512, (17.4, 11.9, 9.9, 5.4, 2.8), 0.05), (800, (27, 19, 15, 8.5, 4.3), 0.5)],
)
def test_prefix_tuning_in_training(hidden, expected, digit):
    for size, percent in zip(SIZES, expected, strict=True):
        counts = parameter_counts.by_method(PAPER_SIZES[size], 1, hidden=hidden)
        assert of_frozen(counts["prefix_tuning_training"], size) == pytest.approx(
            percent, abs=digit
        )


def test_means_over_lengths():
    rows = parameter_counts.task_parameters()
    means = rows.groupby(["method", "size"])["percent"].mean()
    for size, percent in zip(SIZES, (0.034, 0.016, 0.0066, 0.0036, 0.0019), strict=True):
        assert means["prompt_tuning", size] == pytest.approx(percent, rel=0.04)
    # The caption: under 0.01% for most sizes; WARP under 0.1%; prefixes 0.1-1%; all of the model.
    assert sum(means["prompt_tuning", size] < 0.01 for size in SIZES) == 3
    assert rows[rows["method"] == "warp"]["percent"].max() < 0.1
    assert means["prefix_tuning"].between(0.05, 1.0).all()
    assert (means["model_tuning"] == 100).all()


def test_prompt_design_counts_token_ids():
    rows = parameter_counts.task_parameters()
    design = rows[rows["method"] == "prompt_design"]
    ends = design.groupby("size")["percent"].agg(["min", "max"])
    assert (design["length"].min(), design["length"].max()) == (500, 2000)
    assert tuple(ends.loc["small"]) == pytest.approx((0.0006, 0.0026), abs=6e-5)
    assert tuple(ends.loc["xxl"]) == pytest.approx((4.5e-6, 1.8e-5), rel=0.02)


def test_prompt_tuning_is_table_4s():
    rows = parameter_counts.task_parameters().set_index(["method", "size", "length"])
    row = rows.loc[("prompt_tuning", "xxl", 100)]
    assert (row["task_parameters"], round(row["percent"], 5)) == (409_600, 0.00368)
    # Figure 2: 20,480 parameters, a reduction of over five orders of magnitude.
    assert rows.loc[("prompt_tuning", "xxl", 5), "task_parameters"] == 20_480
