"""Sequences that pass through a model, by their lengths: what a job's price is counted from."""

import functools
from collections.abc import Iterable
from random import Random
from typing import Literal, NamedTuple

from promptscale.config.lengths import segments

_DRAWS = 10_000  # examples

Gradient = Literal["nothing", "inputs", "weights"]  # inputs: the weights have no gradients


class Sequences(NamedTuple):
    """Sequences in equal parts by the length of their inputs.

    `inputs` has the mean number of encoder positions of each part, the prompt's among them, and
    `targets` is the number of decoder positions; neither counts padding. `gradient` is what the
    backward pass computes; where it is nothing, the targets are generated.
    """

    number: float  # an expected number, where examples are drawn
    inputs: tuple[float, ...]
    targets: float
    gradient: Gradient


def after(before: int | float, inputs: Iterable[int | float]) -> tuple[float, ...]:
    """The numbers of encoder positions of inputs with `before` positions before each."""
    return tuple(float(before + tokens) for tokens in inputs)


@functools.lru_cache(maxsize=256)
def examples_per_row(
    mixture: tuple[tuple[float, tuple[float, ...], float], ...],
    inputs_length: int,
    targets_length: int,
) -> float:
    """The mean number of examples that T5X packs into a row of so many tokens, from random draws.

    `mixture` has the weight of each task, the lengths of its inputs in equal parts, and the mean
    length of its targets; `promptscale.data.packing` states the rule.
    """
    weights = [weight for weight, _, _ in mixture]
    draw, rows, free = Random(0), 0, (0.0, 0.0)
    for _, inputs, target in draw.choices(mixture, weights, k=_DRAWS):
        tokens = draw.choice(inputs)
        if tokens > free[0] or target > free[1]:
            rows, free = rows + 1, (float(inputs_length), float(targets_length))
        free = free[0] - tokens, free[1] - target
    return _DRAWS / rows


def prefix_lm(number: int, inputs_length: int) -> tuple[Sequences, ...]:
    """Segments of documents that are divided into input and target at a uniformly drawn place.

    FLOPs are of second degree in the lengths, so two places, at 1/2 ± 1/√12 of the segment, stand
    exactly for all places.
    """
    return tuple(
        Sequences(number * share / 2, (1 + place * tokens,), 1 + (1 - place) * tokens, "weights")
        for tokens, share in segments(float(inputs_length - 1)).items()
        for place in (0.5 - 12**-0.5, 0.5 + 12**-0.5)
    )


def span_corruption(number: int, inputs_length: int) -> tuple[Sequences, ...]:
    """Full segments; inputs of 512 tokens have 114 target tokens (T5's `random_spans_helper`)."""
    targets = round(inputs_length * 114 / 512)
    return (Sequences(number, (float(inputs_length),), float(targets), "weights"),)
