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

from promptscale.data.prepared import Examples, Ragged
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


def in_order(examples: Examples, batch_size: int, inputs_length: int) -> Iterator[np.ndarray]:
    """Batches [B, S] of all inputs in order; rows of padding fill the last batch."""
    for start in range(0, len(examples), batch_size):
        chosen = range(start, min(start + batch_size, len(examples)))
        rows = pad([examples.inputs[index] for index in chosen], inputs_length)
        yield np.pad(rows, ((0, batch_size - len(rows)), (0, 0)))
