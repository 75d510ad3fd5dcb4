"""Deterministic batches of prepared examples, a pure function of seed and step.

Each epoch visits every example once, in an order drawn by a counter-based generator from (seed,
epoch). A batch that reaches the end of an epoch continues in the next epoch, so all batches are
full. A run that resumes at a step needs no other state.
Letters: N runs, B batch, S input positions, T target positions.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from promptscale.data.prepared import Ragged
from promptscale.data.vocabulary import EOS_ID, PAD_ID


class Batch(NamedTuple):
    """Token ids; each sequence ends with EOS and is padded with 0."""

    inputs: Int[Any, "*N B S"]
    targets: Int[Any, "*N B T"]


@functools.lru_cache(maxsize=16)
def epoch_order(seed: int, epoch: int, size: int) -> Int[np.ndarray, " size"]:
    """The order in which an epoch visits `size` examples."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(size)


def indices(seed: int, step: int, batch_size: int, size: int) -> Int[np.ndarray, " B"]:
    """The examples in batch `step` (from 0) of a run with this seed, out of `size` examples."""
    places = (divmod(i, size) for i in range(step * batch_size, (step + 1) * batch_size))
    return np.array([epoch_order(seed, epoch, size)[position] for epoch, position in places])


def pad(sequences: Sequence[np.ndarray], length: int) -> Int[np.ndarray, "B length"]:
    """Cuts each sequence to `length - 1` tokens, appends EOS and pads to `length`."""
    padded = np.full((len(sequences), length), PAD_ID, np.int32)
    for row, sequence in zip(padded, sequences, strict=True):
        size = min(len(sequence), length - 1)
        row[:size] = sequence[:size]
        row[size] = EOS_ID
    return padded


def padded_length(sequences: Ragged, longest: int | None = None, multiple: int = 8) -> int:
    """A length that holds every sequence with its EOS, at most `longest`.

    It is rounded up to a multiple, so that tasks of similar lengths share a compiled program.
    """
    needed = int(sequences.lengths.max(initial=0)) + 1
    rounded = -(-needed // multiple) * multiple
    return rounded if longest is None else min(rounded, longest)


def take(
    inputs: Ragged,
    targets: Ragged,
    chosen: Sequence[int] | np.ndarray,
    inputs_length: int,
    targets_length: int,
) -> Batch:
    """The examples at the `chosen` indices, cut and padded to the given lengths."""
    return Batch(
        pad([inputs[int(index)] for index in chosen], inputs_length),
        pad([targets[int(index)] for index in chosen], targets_length),
    )


def rounded_length(length: int) -> int:
    """The next of 16, 24, 32, 48, 64, 96, ...: a few compiled programs serve all lengths."""
    power = max(16, 2 ** (length - 1).bit_length())
    return max(16, power * 3 // 4) if length <= power * 3 // 4 else power


class LengthBatch(NamedTuple):
    """Inputs of similar lengths: indices of the examples; their ids, with empty rows at the end."""

    examples: Int[np.ndarray, " examples"]
    inputs: Int[np.ndarray, "B S"]


def by_length(
    inputs: Ragged, batch_size: int, max_tokens: int, *, before: int = 0, multiple: int = 1
) -> Iterator[LengthBatch]:
    """Batches of all inputs, the longest first.

    A batch has at most `batch_size` rows, and at most `max_tokens` positions for each of the
    `multiple` equal parts that it is divided into; each part has at least a row. `before` is the
    number of positions that precede each input, such as those of a prompt. Inputs are never cut.
    """
    order = np.argsort(-inputs.lengths, kind="stable")
    start = 0
    while start < len(order):
        length = rounded_length(int(inputs.lengths[order[start]]) + 1)
        rows = min(max(1, max_tokens // (before + length)), -(-batch_size // multiple)) * multiple
        chosen = order[start : start + rows]
        ids = pad([inputs[int(index)] for index in chosen], length)
        yield LengthBatch(chosen, np.pad(ids, ((0, rows - len(ids)), (0, 0))))
        start += rows
