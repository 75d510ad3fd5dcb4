"""The statistic of each claim of claims.csv, in a function that has the claim's name."""

from collections.abc import Callable

from promptscale.reporting.claims.evidence import Statistic
from promptscale.reporting.claims.statistics import (
    domain_shift,
    ensembles,
    initialization,
    interpretability,
    parameters,
    pretraining,
    prompt_length,
    robustness,
    scale,
)
from promptscale.reporting.context import Context

_MODULES = (
    scale, prompt_length, initialization, pretraining, robustness, parameters, domain_shift,
    ensembles, interpretability,
)  # fmt: skip


def statistic_of(claim: str) -> Callable[[Context], Statistic]:
    """The function that computes the statistic of a claim."""
    return next(vars(module)[claim] for module in _MODULES if claim in vars(module))
