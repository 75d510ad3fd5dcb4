"""Batches of as many examples as T5X packs into a fixed number of rows.

T5X fills a row with consecutive examples of the shuffled stream until the next example does not
fit, in its inputs or in its targets, and then starts the next row (`seqio.trim_and_pack_dataset`).
A packed row has an attention mask that separates its examples, and T5's positions are relative, so
the examples have the same loss and gradient in rows of their own. Only their choice matters here.
Letters: M examples, B batch.
"""

import functools

import numpy as np
from jaxtyping import Int

from promptscale.data.batches import epoch_order, stream


class PackedBatches:
    """The examples of each step of a run, a pure function of seed, step and lengths.

    A step starts where the step before it ended. The starts are found once, in their order: a run
    that resumes goes through the rows of the steps before, which takes half a minute at the end of
    the paper's multi-task tuning (30,000 steps of 2,048 rows).
    """

    def __init__(
        self,
        seed: int,
        inputs: Int[np.ndarray, " M"],
        targets: Int[np.ndarray, " M"],
        *,
        rows: int,
        inputs_length: int,
        targets_length: int,
    ) -> None:
        """Takes the examples' lengths in tokens, cut to those of a row, and the rows of a step."""
        self._seed, self._size, self._rows = seed, len(inputs), rows
        self._features = (inputs, inputs_length), (targets, targets_length)
        self._starts = [0]  # the place in the stream at which each step starts
        self._row_ends = functools.lru_cache(maxsize=1)(self._find_row_ends)

    def indices(self, step: int) -> Int[np.ndarray, " B"]:
        """The examples in batch `step` (from 0)."""
        while len(self._starts) <= step + 1:
            self._starts.append(self._end_of_step(self._starts[-1]))
        start, end = self._starts[step : step + 2]
        return stream(self._seed, start, end, self._size)

    def _end_of_step(self, place: int) -> int:
        """The end of the step that starts at a place of the stream."""
        rows, size = self._rows, self._size
        while rows:
            epoch = place // size
            ends, first = self._row_ends(epoch), epoch * size
            while rows and place < first + size:
                place = first + ends[place - first]
                rows -= 1
        return place

    def _find_row_ends(self, epoch: int) -> list[int]:
        """The end of a row that starts at each place of an epoch, counted from the epoch's start.

        A row may end in a later epoch. Every target has a token, so a row has no more examples than
        a row of targets has tokens.
        """
        size, longest_row = self._size, self._features[1][1]
        further = range(epoch, epoch + 1 + -(-longest_row // size))
        order = np.concatenate([epoch_order(self._seed, number, size) for number in further])
        order = order[: size + longest_row]
        ends = []
        for lengths, row_length in self._features:
            filled = np.concatenate([[0], np.cumsum(lengths[order])])
            ends.append(np.searchsorted(filled, filled[:size] + row_length, side="right") - 1)
        return np.minimum(*ends).tolist()
