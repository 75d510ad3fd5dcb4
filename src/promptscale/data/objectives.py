"""Span corruption and prefix LM over tokenised documents, as random-access streams of batches.

`batch(step)` is a pure function of the documents, the seed and the step: a restart continues at
the same example, and no state is saved. Each epoch visits every segment once, in a new order. The
arithmetic is the T5 library's (`t5.data.preprocessors`), with this difference: a document of more
than 65536 tokens gives all its segments, where the library takes those of a random chunk.
Letters: B batch, S input positions, T target positions.
"""

import abc
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Int, Int32, Integer

from promptscale.data.batches import Batch
from promptscale.data.corpus import Shard
from promptscale.data.permutation import permute
from promptscale.data.vocabulary import EOS_ID
from promptscale.errors import DataError

NOISE_DENSITY = 0.15
MEAN_SPAN_LENGTH = 3.0
Tokens: TypeAlias = Int32[np.ndarray, " tokens"]
Rows: TypeAlias = Int[np.ndarray, " tokens"]  # the row of a batch that each token belongs to


def span_lengths(inputs_length: int) -> tuple[int, int]:
    """The number of raw tokens that corruption turns into `inputs_length`, and the targets' length.

    Both lengths include EOS. For 512 inputs they are 568 raw tokens and 114 targets, those of T5's
    pre-training.
    """

    def corrupted(tokens: int) -> tuple[int, int]:
        noise = round(tokens * NOISE_DENSITY)
        spans = round(noise / MEAN_SPAN_LENGTH)
        return tokens - noise + spans + 1, noise + spans + 1

    tokens = inputs_length - 1
    while corrupted(tokens + 1)[0] <= inputs_length:
        tokens += 1
    return tokens, corrupted(tokens)[1]


class _Segments(NamedTuple):
    """For each segment its shard, and its start and end in that shard in tokens."""

    shards: Int32[np.ndarray, " B"]
    starts: Int[np.ndarray, " B"]
    ends: Int[np.ndarray, " B"]


class _Stream(abc.ABC):
    """Segments of documents, drawn in a new order each epoch and turned into examples.

    Documents (without EOS) are laid end to end in groups. A group is cut into segments of
    `segment_length` tokens; its last segment may be shorter. `seed` determines the order and the
    draws, and `batch_size` counts the examples of all hosts.
    """

    documents_per_group: int
    inputs_length: int
    targets_length: int

    def __init__(
        self, documents: Sequence[Shard], *, segment_length: int, seed: int, batch_size: int
    ) -> None:
        self.seed = seed
        self.batch_size = batch_size
        self._length = segment_length
        self._shards = documents
        # For each group: its start and end in its shard, and the number of segments before it.
        starts, ends, shards = [], [], []
        for i, shard in enumerate(documents):
            edges = np.append(shard.offsets[: -1 : self.documents_per_group], shard.offsets[-1])
            starts.append(edges[:-1])
            ends.append(edges[1:])
            shards.append(np.full(len(edges) - 1, i, np.int32))
        self._starts, self._ends = np.concatenate(starts), np.concatenate(ends)
        self._shard = np.concatenate(shards)
        segments = -(-(self._ends - self._starts) // segment_length)
        self._before = np.concatenate([[0], np.cumsum(segments)])
        if not self.num_segments:
            raise DataError("There is no text to train on: every document is empty.")

    @property
    def num_segments(self) -> int:
        """Examples per epoch."""
        return int(self._before[-1])

    def segments(self, indices: Int[np.ndarray, " B"]) -> _Segments:
        """Locates segments; segments are numbered in the order of the documents."""
        groups = np.searchsorted(self._before, indices, side="right") - 1
        starts = self._starts[groups] + (indices - self._before[groups]) * self._length
        ends = np.minimum(starts + self._length, self._ends[groups])
        return _Segments(self._shard[groups], starts, ends)

    def read(self, segments: _Segments) -> list[Integer[np.ndarray, " length"]]:
        """Reads the tokens of segments; all reads start before the first is waited for."""
        pending = [
            self._shards[shard].read_async(int(start), int(end))
            for shard, start, end in zip(*segments, strict=True)
        ]
        return [wait() for wait in pending]

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """The batch of a step (from 0), whose sequences end with EOS and are padded with 0.

        `rows` selects rows of the batch; the tokens of other rows are not read. The random draws
        depend on the seed and the step only, so a row is the same whichever rows are selected.
        """
        positions = step * self.batch_size + np.arange(self.batch_size)
        epochs, positions = np.divmod(positions, self.num_segments)
        segments = self.segments(permute(positions, epochs, self.num_segments, self.seed))
        selected = _Segments(*(field[rows] for field in segments))
        tokens = np.concatenate(self.read(selected)).astype(np.int32)
        lengths, size = segments.ends - segments.starts, len(selected.shards)
        row = np.repeat(np.arange(size), lengths[rows])
        rng = np.random.default_rng([self.seed, step])
        inputs, targets = self._divide(tokens, row, lengths, rows, rng)
        return Batch(
            _padded(*inputs, size, self.inputs_length),
            _padded(*targets, size, self.targets_length),
        )

    @abc.abstractmethod
    def _divide(
        self,
        tokens: Tokens,
        row: Rows,
        lengths: Int[np.ndarray, " B"],
        rows: slice,
        rng: np.random.Generator,
    ) -> tuple[tuple[Tokens, Rows], tuple[Tokens, Rows]]:
        """Makes inputs and targets of the selected `rows` of a batch.

        Args:
          tokens: the tokens of the selected rows, end to end.
          row: the row of each token, counted from the first selected row.
          lengths: the lengths of all rows of the batch.
          rows: the selected rows.
          rng: draws for all rows of the batch.
        """


def _padded(tokens: Tokens, rows: Rows, size: int, length: int) -> Int32[np.ndarray, "B T"]:
    """Turns flat tokens with their row numbers into a padded array.

    A row is cut to `length - 1` tokens and ends with EOS.
    """
    counts = np.bincount(rows, minlength=size)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    fits = columns < length - 1
    array = np.zeros((size, length), np.int32)
    array[rows[fits], columns[fits]] = tokens[fits]
    array[np.arange(size), np.minimum(counts, length - 1)] = EOS_ID
    return array


def _partition(
    items: Int[np.ndarray, " B"], parts: Int[np.ndarray, " B"], rng: np.random.Generator
) -> Int[np.ndarray, "B P"]:
    """Divides `items[i]` items into `parts[i]` non-empty parts; all divisions are equally likely.

    Returns:
      The sizes of the parts; a row with fewer than P parts ends with zeros.
    """
    inner = max(int(items.max()) - 1, 1)
    keys = rng.random((len(items), inner))
    keys[np.arange(inner) >= (items - 1)[:, None]] = 2.0
    # The `parts - 1` smallest keys mark the items, after the first, that begin a part.
    ranked = np.argsort(keys, axis=1)
    begins = np.zeros((len(items), inner + 1), np.int64)
    rank = np.arange(inner) < (parts - 1)[:, None]
    np.put_along_axis(begins[:, 1:], ranked, rank.astype(np.int64), axis=1)
    part = np.cumsum(begins, axis=1)
    width = int(parts.max())
    cell = (np.arange(len(items))[:, None] * width + part)[np.arange(inner + 1) < items[:, None]]
    return np.bincount(cell, minlength=len(items) * width).reshape(len(items), width)


def noise_mask(
    lengths: Int[np.ndarray, " B"], rng: np.random.Generator
) -> Bool[np.ndarray, " tokens"]:
    """Marks the noise tokens of sequences of the given lengths, laid end to end.

    Noise is 15 % of a sequence, in spans of 3 tokens on average. Clean and noisy spans alternate,
    and a sequence starts with a clean span.
    """
    padded = np.maximum(lengths, 2)
    noise = np.round(padded.astype(np.float32) * np.float32(NOISE_DENSITY)).astype(np.int64)
    noise = np.clip(noise, 1, padded - 1)
    spans = np.round(noise.astype(np.float32) / np.float32(MEAN_SPAN_LENGTH)).astype(np.int64)
    spans = np.maximum(spans, 1)
    noisy = _partition(noise, spans, rng)
    clean = _partition(padded - noise, spans, rng)
    alternating = np.stack([clean, noisy], axis=2).ravel()
    mask = np.repeat(np.arange(len(alternating)) % 2 == 1, alternating)
    # A sequence of 1 token was treated as a sequence of 2 tokens; the second is removed.
    second = np.cumsum(padded) - 1
    return np.delete(mask, second[lengths < padded])


def _with_sentinels(
    tokens: Tokens, rows: Rows, hidden: Bool[np.ndarray, " tokens"], first_sentinel: int
) -> tuple[Int32[np.ndarray, " rest"], Int[np.ndarray, " rest"]]:
    """Replaces each run of hidden tokens by a sentinel, and returns tokens with their row numbers.

    The sentinels of a row count down from `first_sentinel`.
    """
    new_row = np.diff(rows, prepend=-1) != 0
    before = np.concatenate([[False], hidden[:-1]]) & ~new_row
    starts = hidden & ~before
    total = np.cumsum(starts)
    earlier = (total - starts)[new_row]  # by row, the hidden runs in all rows before it
    number = total - earlier[np.cumsum(new_row) - 1]
    tokens = np.where(starts, first_sentinel + 1 - number, tokens).astype(np.int32)
    remains = ~hidden | starts
    return tokens[remains], rows[remains]


class SpanCorruption(_Stream):
    """T5's pre-training objective, in which sentinels replace spans of 15 % of the tokens.

    Documents are merged in groups of 128 before they are cut into segments.
    """

    documents_per_group = 128

    def __init__(
        self,
        documents: Sequence[Shard],
        *,
        vocabulary_size: int,
        inputs_length: int,
        seed: int,
        batch_size: int,
    ) -> None:
        """Derives the targets' length from `inputs_length`, and sentinels from the vocabulary.

        `vocabulary_size` includes the extra ids; `<extra_id_0>` is the last id.

        Raises:
          DataError: there are no tokens.
        """
        tokens_length, self.targets_length = span_lengths(inputs_length)
        self.inputs_length = inputs_length
        self._first_sentinel = vocabulary_size - 1
        super().__init__(documents, segment_length=tokens_length, seed=seed, batch_size=batch_size)

    def _divide(self, tokens, row, lengths, rows, rng):
        first, stop, _ = rows.indices(len(lengths))
        edges = np.concatenate([[0], np.cumsum(lengths)])
        mask = noise_mask(lengths, rng)[edges[first] : edges[stop]]
        inputs = _with_sentinels(tokens, row, mask, self._first_sentinel)
        return inputs, _with_sentinels(tokens, row, ~mask, self._first_sentinel)


class PrefixLM(_Stream):
    """The objective of LM adaptation (section 3.3): a prefix is the input, the rest the target.

    Documents are cut into segments of `inputs_length - 1` tokens and never merged. The split point
    is uniform over the segment.
    """

    documents_per_group = 1

    def __init__(
        self,
        documents: Sequence[Shard],
        *,
        inputs_length: int,
        seed: int,
        batch_size: int,
        targets_length: int | None = None,
    ) -> None:
        """Cuts continuations to `targets_length`; the default `inputs_length` cuts none.

        Raises:
          DataError: there are no tokens.
        """
        self.inputs_length = inputs_length
        self.targets_length = targets_length or inputs_length
        super().__init__(
            documents, segment_length=inputs_length - 1, seed=seed, batch_size=batch_size
        )

    def _divide(self, tokens, row, lengths, rows, rng):
        # A segment of 1 token has an empty prefix.
        split = rng.integers(np.minimum(lengths - 1, 1), np.maximum(lengths, 1))[rows]
        lengths = lengths[rows]
        columns = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        prefix = columns < split[row]
        return (tokens[prefix], row[prefix]), (tokens[~prefix], row[~prefix])
