"""Span corruption and prefix LM over tokenised documents, as random-access streams of batches.

`batch(step)` is a pure function of the documents, the seed and the step: a restart continues at
the very example, and no state is saved. Each epoch visits every segment once, in an order of its
own. The arithmetic is the T5 library's (`t5.data.preprocessors`), with one difference: a document
of more than 65536 tokens gives all its segments, not those of one random chunk.
"""

import abc
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32, Integer

from promptscale.data.batches import Batch
from promptscale.data.corpus import Shard
from promptscale.data.permutation import permute
from promptscale.data.vocabulary import EOS_ID
from promptscale.errors import DataError

NOISE_DENSITY = 0.15
MEAN_SPAN_LENGTH = 3.0
DOCUMENTS_PER_GROUP = 128


def span_lengths(inputs_length: int) -> tuple[int, int]:
    """Raw tokens that fill `inputs_length` after corruption, and the targets' length; EOS included.

    For 512 inputs: 568 raw tokens and 114 targets, the lengths of T5's pre-training.
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
    """Spans of shards, one segment each."""

    shards: Int32[np.ndarray, " B"]
    starts: Int[np.ndarray, " B"]
    ends: Int[np.ndarray, " B"]

    @property
    def lengths(self) -> Int[np.ndarray, " B"]:
        """Tokens of each."""
        return self.ends - self.starts


class _Stream(abc.ABC):
    """Segments of documents, drawn in a new order each epoch and turned into examples.

    Documents are laid end to end in groups; a group is cut into segments of `segment_length`, the
    last of which may be shorter.
    """

    inputs_length: int
    targets_length: int

    def __init__(
        self,
        documents: Sequence[Shard],
        *,
        documents_per_group: int,
        segment_length: int,
        seed: int,
        batch_size: int,
    ) -> None:
        self.seed = seed
        self.batch_size = batch_size
        self._length = segment_length
        self._shards = documents
        # Where each group starts and ends in its shard, and the number of segments before it.
        starts, ends, shards = [], [], []
        for i, shard in enumerate(documents):
            edges = np.append(shard.offsets[:-1:documents_per_group], shard.offsets[-1])
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
        """Where segments are; an index is a segment's place in the order of the documents."""
        groups = np.searchsorted(self._before, indices, side="right") - 1
        starts = self._starts[groups] + (indices - self._before[groups]) * self._length
        ends = np.minimum(starts + self._length, self._ends[groups])
        return _Segments(self._shard[groups], starts, ends)

    def read(self, segments: _Segments) -> list[Integer[np.ndarray, " length"]]:
        """The tokens of segments, all of which are asked for before any is waited for."""
        asked = [
            self._shards[shard].ask(int(start), int(end))
            for shard, start, end in zip(*segments, strict=True)
        ]
        return [wait() for wait in asked]

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """The batch of one step, from 0: `inputs` and `targets`, each ending in EOS, padded by 0.

        The random draws depend on the seed and the step alone, whatever `rows` of it are asked for;
        the tokens of others are not read.
        """
        positions = step * self.batch_size + np.arange(self.batch_size)
        epochs, positions = np.divmod(positions, self.num_segments)
        segments = self.segments(permute(positions, epochs, self.num_segments, self.seed))
        own = _Segments(*(one[rows] for one in segments))
        tokens = np.concatenate(self.read(own)).astype(np.int32)
        draws = np.random.default_rng([self.seed, step])
        return self._examples(tokens, segments.lengths, rows, draws)

    @abc.abstractmethod
    def _examples(
        self,
        tokens: Int32[np.ndarray, " tokens"],
        lengths: Int[np.ndarray, " B"],
        rows: slice,
        draws: np.random.Generator,
    ) -> Batch:
        """The `rows` of a batch: `tokens` are theirs, `lengths` those of the whole batch."""


def _padded(
    tokens: Int32[np.ndarray, " tokens"], rows: Int[np.ndarray, " tokens"], size: int, length: int
) -> Int32[np.ndarray, "B T"]:
    """Flat tokens with their row numbers as a padded array, truncated to leave room for EOS."""
    counts = np.bincount(rows, minlength=size)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = columns < length - 1
    array = np.zeros((size, length), np.int32)
    array[rows[kept], columns[kept]] = tokens[kept]
    array[np.arange(size), np.minimum(counts, length - 1)] = EOS_ID
    return array


def _partition(
    items: Int[np.ndarray, " B"], parts: Int[np.ndarray, " B"], rng: np.random.Generator
) -> Int[np.ndarray, "B S"]:
    """Cuts each number of items into its number of non-empty parts; all ways equally likely.

    Returns:
      The sizes of the parts, with zeros after a row's last.
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
    """Which tokens of each sequence (laid end to end) are noise.

    15 % of the tokens, in spans of 3 on average; clean and noisy spans alternate, clean first.
    """
    padded = np.maximum(lengths, 2)
    noise = np.round(padded.astype(np.float32) * np.float32(NOISE_DENSITY)).astype(np.int64)
    noise = np.clip(noise, 1, padded - 1)
    spans = np.round(noise.astype(np.float32) / np.float32(MEAN_SPAN_LENGTH)).astype(np.int64)
    spans = np.maximum(spans, 1)
    noisy = _partition(noise, spans, rng)
    clean = _partition(padded - noise, spans, rng)
    runs = np.stack([clean, noisy], axis=2).ravel()
    mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    # A sequence of one token was treated as one of two; drop the second.
    second = np.cumsum(padded) - 1
    return np.delete(mask, second[lengths < padded])


def _with_sentinels(
    tokens: Int32[np.ndarray, " tokens"],
    rows: Int[np.ndarray, " tokens"],
    hidden: Bool[np.ndarray, " tokens"],
    first_sentinel: int,
) -> tuple[Int32[np.ndarray, " kept"], Int[np.ndarray, " kept"]]:
    """Each run of hidden tokens becomes one sentinel; a row counts down from `first_sentinel`."""
    new_row = np.diff(rows, prepend=-1) != 0
    before = np.concatenate([[False], hidden[:-1]]) & ~new_row
    starts = hidden & ~before
    total = np.cumsum(starts)
    earlier = (total - starts)[new_row]  # runs in all rows before, by row
    number = total - earlier[np.cumsum(new_row) - 1]
    tokens = np.where(starts, first_sentinel + 1 - number, tokens).astype(np.int32)
    kept = ~hidden | starts
    return tokens[kept], rows[kept]


class SpanCorruption(_Stream):
    """T5's pre-training objective: documents merged, 15 % of the tokens hidden behind sentinels."""

    def __init__(
        self,
        documents: Sequence[Shard],
        *,
        vocabulary_size: int,
        inputs_length: int,
        seed: int,
        batch_size: int,
    ) -> None:
        """Builds the stream.

        Args:
          documents: shards of tokenised documents without EOS.
          vocabulary_size: pieces and extra ids; `<extra_id_0>` is the last.
          inputs_length: the length of `inputs`; that of `targets` follows from it.
          seed: of the order and of the noise.
          batch_size: examples per batch, over all hosts.
        Raises:
          DataError: there are no tokens.
        """
        tokens_length, self.targets_length = span_lengths(inputs_length)
        self.inputs_length = inputs_length
        self._first_sentinel = vocabulary_size - 1
        super().__init__(
            documents,
            documents_per_group=DOCUMENTS_PER_GROUP,
            segment_length=tokens_length,
            seed=seed,
            batch_size=batch_size,
        )

    def _examples(self, tokens, lengths, rows, draws) -> Batch:
        mask = noise_mask(lengths, draws)
        first, stop, _ = rows.indices(len(lengths))
        edges = np.concatenate([[0], np.cumsum(lengths)])
        mask, lengths = mask[edges[first] : edges[stop]], lengths[rows]
        row = np.repeat(np.arange(len(lengths)), lengths)
        inputs = _with_sentinels(tokens, row, mask, self._first_sentinel)
        targets = _with_sentinels(tokens, row, ~mask, self._first_sentinel)
        return Batch(
            _padded(*inputs, len(lengths), self.inputs_length),
            _padded(*targets, len(lengths), self.targets_length),
        )


class PrefixLM(_Stream):
    """LM adaptation (section 3.3): a prefix to read and its continuation to write.

    Documents are cut into pieces of `inputs_length - 1` tokens and never merged; the split point is
    uniform over the piece.
    """

    def __init__(
        self,
        documents: Sequence[Shard],
        *,
        inputs_length: int,
        seed: int,
        batch_size: int,
        targets_length: int | None = None,
    ) -> None:
        """Builds the stream.

        Args:
          documents: shards of tokenised documents without EOS.
          inputs_length: the length of `inputs`.
          seed: of the order and of the split points.
          batch_size: examples per batch, over all hosts.
          targets_length: the length of `targets`, longer continuations being cut; as `inputs` where
            not given, which cuts none.
        Raises:
          DataError: there are no tokens.
        """
        self.inputs_length = inputs_length
        self.targets_length = targets_length or inputs_length
        super().__init__(
            documents,
            documents_per_group=1,
            segment_length=inputs_length - 1,
            seed=seed,
            batch_size=batch_size,
        )

    def _examples(self, tokens, lengths, rows, draws) -> Batch:
        # A piece of one token has no prefix.
        split = draws.integers(np.minimum(lengths - 1, 1), np.maximum(lengths, 1))[rows]
        lengths = lengths[rows]
        row = np.repeat(np.arange(len(lengths)), lengths)
        columns = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        prefix = columns < split[row]
        return Batch(
            _padded(tokens[prefix], row[prefix], len(lengths), self.inputs_length),
            _padded(tokens[~prefix], row[~prefix], len(lengths), self.targets_length),
        )
