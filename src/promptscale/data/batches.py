"""Deterministic batches of prepared examples, a pure function of seed and step.

Each epoch visits every example once, in an order drawn by a counter-based generator from (seed,
epoch). A batch that reaches the end of an epoch continues in the next epoch, so all batches are
full. A run that resumes at a step needs no other state. `promptscale.data.packing` has batches of
as many examples as fit into packed rows.
Letters: B batch.
"""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from promptscale.data.prepared import Ragged
from promptscale.data.vocabulary import EOS_ID, PAD_ID


@functools.lru_cache(maxsize=64)
def epoch_order(seed: int, epoch: int, size: int) -> Int[np.ndarray, " size"]:
    """The order in which an epoch visits `size` examples."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(size)


def stream(seed: int, start: int, end: int, size: int) -> Int[np.ndarray, " B"]:
    """The examples at the places from `start` to `end` of a run's stream, out of `size` examples.

    The stream is the epochs in their orders, end to end.
    """
    first = start // size
    epochs = range(first, -(-end // size))
    orders = np.concatenate([epoch_order(seed, epoch, size) for epoch in epochs])
    return orders[start - first * size : end - first * size]


def indices(seed: int, step: int, batch_size: int, size: int) -> Int[np.ndarray, " B"]:
    """The examples in batch `step` (from 0) of a run with this seed, out of `size` examples."""
    return stream(seed, step * batch_size, (step + 1) * batch_size, size)


def pad(sequences: Sequence[np.ndarray], length: int) -> Int[np.ndarray, "B length"]:
    """Cuts each sequence to `length - 1` tokens, appends EOS and pads to `length`."""
    padded = np.full((len(sequences), length), PAD_ID, np.int32)
    for row, sequence in zip(padded, sequences, strict=True):
        size = min(len(sequence), length - 1)
        row[:size] = sequence[:size]
        row[size] = EOS_ID
    return padded


def padded_length(sequences: Ragged) -> int:
    """The length that holds every sequence with its EOS."""
    return int(sequences.lengths.max(initial=0)) + 1
