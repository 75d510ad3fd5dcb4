"""How often claims pass on results like the paper's, and on results without the effect.

Run as a program, prints the table of docs/claims.md:

    python -m promptscale.reporting.claims.calibration
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd

from promptscale.reporting import paper
from promptscale.reporting.claims import CLAIMS, HOLDS, judged, simulation
from promptscale.reporting.claims.evidence import Statistic
from promptscale.reporting.claims.statistics import statistic_of

# Of `simulation.of_panel`, by curve, and size (figures) or evaluated task (tables).
Means = dict[tuple[str, str], float]
Removal = Callable[[Means], None]  # changes the means in place, so that the claim is false

DRAWS = 200
_SIZES = ("small", "base", "large", "xl", "xxl")
_SMALLER, _LARGEST = _SIZES[:-1], _SIZES[-1]
_PROMPTS, _MODEL, _MULTITASK = "prompt_tuning", "model_tuning", "model_tuning_multitask"
_SPAN, _SENTINEL = "span_corruption", "span_corruption_sentinel"


def _gpt3(size: str) -> float:
    return float(paper.gpt3_scores().set_index("size")["score"][size])


def _mean_difference(means: Means, higher: str, lower: str) -> float:
    """The mean difference of two curves over the sizes below the largest."""
    return float(np.mean([means[higher, size] - means[lower, size] for size in _SMALLER]))


def _gap_stays(method: str) -> Removal:
    """The gap to a method at the largest size is the mean gap of the other sizes."""

    def remove(means: Means) -> None:
        gap = _mean_difference(means, method, _PROMPTS)
        means[_PROMPTS, _LARGEST] = means[method, _LARGEST] - gap

    return remove


def _equal(curve: str, other: str = _PROMPTS, sizes: Iterable[str] = _SIZES) -> Removal:
    """A curve has the means of another."""

    def remove(means: Means) -> None:
        for size in sizes:
            means[curve, size] = means[other, size]

    return remove


def _prompts_have(size: str, gpt3: str) -> Removal:
    """Prompt tuning at a size has the score of a model of GPT-3."""

    def remove(means: Means) -> None:
        means[_PROMPTS, size] = _gpt3(gpt3)

    return remove


def _single_token_keeps_the_mean_share(means: Means) -> None:
    shares = [means["length_1", size] / means[_PROMPTS, size] for size in _SMALLER]
    means["length_1", _LARGEST] = float(np.mean(shares)) * means[_PROMPTS, _LARGEST]


def _single_token_loses_the_mean(means: Means) -> None:
    loss = _mean_difference(means, _PROMPTS, "length_1")
    means["length_1", _LARGEST] = means[_PROMPTS, _LARGEST] - loss


def _gains_go_on(means: Means) -> None:
    """The gain from 20 to 150 is half of that from 1 to 20."""
    for size in _SIZES:
        gain = means["length_20", size] - means["length_1", size]
        means["length_150", size] = means["length_20", size] + gain / 2


def _labels_and_uniform_change_places(means: Means) -> None:
    for size in _SIZES:
        labels, uniform = (_PROMPTS, size), ("random_uniform", size)
        means[labels], means[uniform] = means[uniform], means[labels]


def _uniform_is_informed(means: Means) -> None:
    for size in _SIZES:
        means["random_uniform", size] = _informed(means, size)


def _uniform_lags_everywhere(means: Means) -> None:
    lags = [_informed(means, size) - means["random_uniform", size] for size in _SMALLER]
    means["random_uniform", _LARGEST] = _informed(means, _LARGEST) - float(np.mean(lags))


def _informed(means: Means, size: str) -> float:
    """The mean of class labels and sampled vocabulary."""
    return (means[_PROMPTS, size] + means["sampled_vocab", size]) / 2


def _sentinel_closes_half_of_the_gap(means: Means) -> None:
    for size in _SIZES:
        means[_SENTINEL, size] = (means[_PROMPTS, size] + means[_SPAN, size]) / 2


def _middle_sizes_are_as_the_smallest(means: Means) -> None:
    for size in _SIZES[1:-1]:
        means[_SPAN, size] = means[_SPAN, _SIZES[0]]


def _largest_loses_the_mean(means: Means) -> None:
    """Every setting loses as much at the largest size as at the others on average."""
    for curve in {curve for curve, _ in means} - {_PROMPTS}:
        loss = _mean_difference(means, _PROMPTS, curve)
        means[curve, _LARGEST] = means[_PROMPTS, _LARGEST] - loss


def _prompts_shift_as_models(means: Means) -> None:
    for _, shifted in [cell for cell in means if cell[0] == _MODEL]:
        means[_PROMPTS, shifted] = means[_MODEL, shifted]


def _gain_does_not_depend_on_domain(means: Means) -> None:
    models = {shifted: mean for (curve, shifted), mean in means.items() if curve == _MODEL}
    gain = np.mean([means[_PROMPTS, shifted] - mean for shifted, mean in models.items()])
    for shifted, mean in models.items():
        means[_PROMPTS, shifted] = mean + float(gain)


def _ensemble_gains(points: float) -> Removal:
    """The ensemble's score on every task is that of its prompts plus some points."""

    def remove(means: Means) -> None:
        for _, task in [cell for cell in means if cell[0] == _PROMPTS]:
            means["prompt_ensemble", task] = means[_PROMPTS, task] + points

    return remove


# By claim: the panel of `simulation.of_panel` that it needs, and what removes its effect. In
# panels of Figure 3 the curve `prompt_tuning` is the default setting. The other claims are about
# prompts' neighbours, for which the paper gives no numbers, or about exact numbers.
CASES: dict[str, tuple[str, Removal]] = {
    "gap_closes": ("1", _gap_stays(_MODEL)),
    "matches_model_tuning": ("1", _gap_stays(_MODEL)),
    "matches_multitask_tuning": ("1", _gap_stays(_MULTITASK)),
    "multitask_beats_single_task": ("1", _equal(_MULTITASK, _MODEL)),
    "beats_prompt_design": ("1", _prompts_have("large", "175B")),
    "small_matches_gpt3_xl": ("1", _prompts_have("small", "760M")),
    "one_token_short": ("a", _equal("length_1", sizes=_SMALLER)),
    "one_token_enough": ("a", _single_token_keeps_the_mean_share),
    "one_token_loses_least": ("a", _single_token_loses_the_mean),
    "beyond_twenty": ("a", _gains_go_on),
    "too_long_harms": ("a", _equal("length_150")),
    "labels_at_least_as_good": ("b", _labels_and_uniform_change_places),
    "uniform_lags": ("b", _uniform_is_informed),
    "uniform_lag_vanishes": ("b", _uniform_lags_everywhere),
    "adaptation_beats_span_corruption": ("c", _equal(_SPAN)),
    "adaptation_beats_sentinel": ("c", _equal(_SENTINEL)),
    "sentinel_helps_little": ("c", _sentinel_closes_half_of_the_gap),
    "middle_sizes_fail": ("c", _middle_sizes_are_as_the_smallest),
    "longer_adaptation": ("d", _equal("lm_50000")),
    "robust_to_length": ("a", _largest_loses_the_mean),
    "robust_to_initialization": ("b", _largest_loses_the_mean),
    "robust_to_objective": ("c", _largest_loses_the_mean),
    "robust_to_adaptation": ("d", _largest_loses_the_mean),
    "prompts_shift_better": ("shift", _prompts_shift_as_models),
    "larger_shift_larger_gain": ("shift", _gain_does_not_depend_on_domain),
    "ensemble_beats_mean": ("ensemble", _ensemble_gains(0.0)),
    "ensemble_beats_best": ("ensemble", _ensemble_gains(-3.0)),
    "ensemble_beats_best_on_every_task": ("ensemble", _ensemble_gains(-3.0)),
}


def rates(claims: Iterable[str] = CASES, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """The percentage of simulated results on which claims hold.

    Returns:
      Index claims; columns `present` (results like the paper's) and `removed` (without the effect).
    """
    shares = {}
    for claim in claims:
        panel, remove = CASES[claim]
        present = simulation.of_panel(panel)
        removed = present.assign(mean=_changed(present, remove))
        generator = np.random.default_rng([seed, list(CASES).index(claim)])
        shares[claim] = [
            _share(claim, distribution, draws, generator) for distribution in (present, removed)
        ]
    return pd.DataFrame.from_dict(shares, orient="index", columns=["present", "removed"])


def _changed(distribution: pd.DataFrame, remove: Removal) -> list[float]:
    """The means without the effect, in the order of the rows."""
    tables = distribution["panel"].isin(["shift", "ensemble"])
    places = distribution["size"].where(~tables, distribution["eval_task"])
    cells = list(zip(distribution["curve"], places, strict=True))
    means: Means = dict(zip(cells, distribution["mean"], strict=True))
    remove(means)
    return [means[cell] for cell in cells]


def _share(
    claim: str, distribution: pd.DataFrame, draws: int, generator: np.random.Generator
) -> float:
    drawn = _drawn(claim, distribution, draws, generator)
    return 100 * float(np.mean([judged(statistic)[1] == HOLDS for statistic in drawn]))


def _drawn(
    claim: str, distribution: pd.DataFrame, draws: int, generator: np.random.Generator
) -> Iterator[Statistic]:
    """The claim's statistic on each of `draws` simulated results.

    The quantities are the same in all draws, so they are worked out once, from the means, and only
    the cells' scores are drawn. The exception is the best prompt of an ensemble.
    """
    statistic = statistic_of(claim)
    if CASES[claim][0] == "ensemble":
        for _ in range(draws):
            yield statistic(simulation.drawn(distribution, generator))
        return
    exact = distribution.assign(sd=0.0)
    centre = statistic(simulation.drawn(exact, generator))
    spread = statistic(simulation.drawn(exact.assign(mean=distribution["sd"]), generator)).samples
    for _ in range(draws):
        samples = {
            cell: generator.normal(means, spread[cell]) for cell, means in centre.samples.items()
        }
        yield centre._replace(samples=samples)


def markdown(table: pd.DataFrame) -> str:
    """The rates as the table of docs/claims.md."""
    statements = CLAIMS.set_index("claim")["statement"]
    lines = [
        "| Claim | holds on the paper's numbers, % | holds without the effect, % | 95 % reached |",
        "|---|---:|---:|---|",
    ]
    for claim, present, removed in table.itertuples(name=None):
        reached = "yes" if present >= 95 else "no"
        lines.append(f"| {statements[claim]} | {present:g} | {removed:g} | {reached} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(rates()))
