"""Parameters per task (sections 3.1 and 4, Figure 4): exact numbers that need no results."""

from collections.abc import Iterable

import pandas as pd

from promptscale.config.settings import PromptTuning
from promptscale.config.sizes import PAPER_SIZES, parameter_counts
from promptscale.reporting.claims.evidence import Statistic
from promptscale.reporting.claims.quantities import Quantity
from promptscale.reporting.context import Context
from promptscale.reporting.parameter_counts import task_parameters


def few_parameters(context: Context) -> Statistic:
    """0.01 less the percentage of each of the paper's sizes above a billion parameters."""
    sizes = [size for size, model in PAPER_SIZES.items() if model.num_parameters > 1e9]
    return _exact(0.01 - parameter_counts(size, _LENGTH)["percent"] for size in sizes)


def far_fewer_parameters(context: Context) -> Statistic:
    """The parameters of XXL over those of its prompt, less 20,000."""
    counts = parameter_counts("xxl", _LENGTH)
    ratio = PAPER_SIZES["xxl"].num_parameters / counts["trainable"]
    return _exact([ratio - 20_000])


def warp_percentage(context: Context) -> Statistic:
    """0.1 less the percentage of WARP at each size, mean over the lengths."""
    return _exact(0.1 - mean for mean in _percentages()["warp"])


def prefix_percentage(context: Context) -> Statistic:
    """The distance of prefix tuning's percentages from the ends of "0.1-1%", as rounded there.

    Figure 4 shows the mean over lengths; 0.05 is the least number that rounds to 0.1.
    """
    means = _percentages()["prefix_tuning"]
    return _exact(min(mean - 0.05, 1.5 - mean) for mean in means)


_LENGTH = PromptTuning.model_fields["prompt_length"].default


def _percentages() -> pd.DataFrame:
    """The mean percentage over lengths: index sizes, columns methods."""
    return task_parameters().pivot_table(index="size", columns="method", values="percent")


def _exact(values: Iterable[float]) -> Statistic:
    return Statistic([Quantity(constant=value) for value in values], {})
