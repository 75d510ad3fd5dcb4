"""Span corruption and prefix LM over tokenised documents, as random-access streams of batches.

`batch(step)` is a pure function of the documents, the seed and the step: a restart continues at
the same example, and no state is saved. Each epoch visits every segment once, in a new order. The
arithmetic is the T5 library's (`t5.data.preprocessors`), with this difference: a document of more
than 65536 tokens gives all its segments, where the library takes those of a random chunk.
Letters: B batch, S input positions, T target positions.
"""

import abc
import functools
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Int, Int32, Integer

from promptscale.data.corpus import Shard
from promptscale.data.permutation import permute
from promptscale.data.prepared import check_ids
from promptscale.data.vocabulary import EOS_ID, EXTRA_IDS
from promptscale.errors import DataError

NOISE_DENSITY = 0.15
MEAN_SPAN_LENGTH = 3.0
Tokens: TypeAlias = Int32[np.ndarray, " tokens"]
Rows: TypeAlias = Int[np.ndarray, " tokens"]  # the row of a batch that each token belongs to
Mask: TypeAlias = Bool[np.ndarray, " tokens"]
Lengths: TypeAlias = Int[np.ndarray, " B"]


class Batch(NamedTuple):
    """Token ids of examples; each sequence ends with EOS and is padded with 0."""

    inputs: Int32[np.ndarray, "B S"]
    targets: Int32[np.ndarray, "B T"]


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


class _Stream(abc.ABC):
    """Segments of documents, drawn in a new order each epoch and turned into examples.

    Documents (without EOS) are laid end to end in groups. A group is cut into segments of
    `segment_length` tokens; its last segment may be shorter.
    """

    documents_per_group: int
    _first_sentinel: int | None = None  # None: no sentinels

    def __init__(
        self,
        documents: Sequence[Shard],
        *,
        inputs_length: int,
        seed: int,
        batch_size: int,
        vocab_size: int | None = None,
    ) -> None:
        """`seed` determines order and draws; `batch_size` counts the examples of all hosts.

        `vocab_size` is the rows of the model's embedding, which the ids of each batch must be
        below; None admits any ids.

        Raises:
          DataError: there are no tokens.
        """
        self._vocab_size = vocab_size
        self.seed = seed
        self.batch_size = batch_size
        self.inputs_length = inputs_length
        self.segment_length, self.targets_length = self._lengths(inputs_length)
        self._documents = documents
        size = self.documents_per_group
        edges = [np.append(shard.offsets[:-1:size], shard.offsets[-1]) for shard in documents]
        # For each group: its shard, its start and end there, and the number of segments before it.
        self._shards = np.repeat(np.arange(len(edges)), [len(groups) - 1 for groups in edges])
        self._starts = np.concatenate([groups[:-1] for groups in edges])
        self._ends = np.concatenate([groups[1:] for groups in edges])
        segments = -(-(self._ends - self._starts) // self.segment_length)
        self._before = np.concatenate([[0], np.cumsum(segments)])
        self.num_segments = int(self._before[-1])  # examples per epoch
        if not self.num_segments:
            raise DataError("There is no text to train on: every document is empty.")
        # A training asks for the lengths of a step and then for its batch.
        self._draw = functools.lru_cache(maxsize=1)(self._draw_step)

    def segments(self, indices: Int[np.ndarray, " B"]) -> Int[np.ndarray, "3 B"]:
        """The shards, starts and ends of segments, which are numbered in the documents' order."""
        groups = np.searchsorted(self._before, indices, side="right") - 1
        starts = self._starts[groups] + (indices - self._before[groups]) * self.segment_length
        ends = np.minimum(starts + self.segment_length, self._ends[groups])
        return np.stack([self._shards[groups], starts, ends])

    def read(self, segments: Int[np.ndarray, "3 B"]) -> list[Integer[np.ndarray, " length"]]:
        """Reads the tokens of segments; all reads start before the first is waited for."""
        shards = self._documents
        pending = [shards[i].read_async(start, end) for i, start, end in segments.T.tolist()]
        return [wait() for wait in pending]

    def batch(self, step: int, rows: slice | Int[np.ndarray, " R"] = slice(None)) -> Batch:
        """The batch of a step (from 0), whose sequences end with EOS and are padded with 0.

        `rows` selects rows of the batch; the tokens of other rows are not read. The random draws
        depend on the seed and the step only, so a row is the same whichever rows are selected.

        Raises:
          DataError: the embedding has no row for a token id, or a shard cannot be read.
        """
        segments, lengths, in_targets = self._draw(step)
        chosen = np.arange(self.batch_size)[rows]
        tokens = np.concatenate([np.zeros(0, np.int32), *self.read(segments[:, chosen])])
        tokens = tokens.astype(np.int32)
        check_ids(tokens, self._vocab_size, "The prepared corpus")
        ends = np.cumsum(lengths)
        marks = [in_targets[ends[i] - lengths[i] : ends[i]] for i in chosen]
        return self._examples(tokens, lengths[chosen], np.concatenate([in_targets[:0], *marks]))

    def lengths(self, step: int) -> tuple[Lengths, Lengths]:
        """The lengths of a step's inputs and targets, with EOS; no token is read."""
        _, lengths, in_targets = self._draw(step)
        tokens = np.zeros(lengths.sum(), np.int32)

        def counts(hidden: Mask, longest: int) -> Lengths:
            _, rows = self._hide(tokens, lengths, hidden)
            return np.minimum(np.bincount(rows, minlength=len(lengths)) + 1, longest)

        return counts(in_targets, self.inputs_length), counts(~in_targets, self.targets_length)

    def _draw_step(self, step: int) -> tuple[Int[np.ndarray, "3 B"], Lengths, Mask]:
        """The segments of a step, their lengths, and the marks of the tokens in targets."""
        positions = step * self.batch_size + np.arange(self.batch_size)
        epochs, positions = np.divmod(positions, self.num_segments)
        segments = self.segments(permute(positions, epochs, self.num_segments, self.seed))
        lengths = segments[2] - segments[1]
        return (
            segments,
            lengths,
            self._in_targets(lengths, np.random.default_rng([self.seed, step])),
        )

    def _examples(self, tokens: Tokens, lengths: Lengths, in_targets: Mask) -> Batch:
        """Inputs and targets of segments of the given lengths, laid end to end."""
        inputs, targets = (
            self._hide(tokens, lengths, hidden) for hidden in (in_targets, ~in_targets)
        )
        return Batch(
            _padded(*inputs, len(lengths), self.inputs_length),
            _padded(*targets, len(lengths), self.targets_length),
        )

    def _hide(
        self, tokens: Tokens, lengths: Lengths, hidden: Mask
    ) -> tuple[Int32[np.ndarray, " rest"], Int[np.ndarray, " rest"]]:
        """Removes the hidden tokens of segments; those that remain, and the row of each."""
        rows = np.repeat(np.arange(len(lengths)), lengths)
        return hide(tokens, rows, hidden, self._first_sentinel)

    @staticmethod
    def _lengths(inputs_length: int) -> tuple[int, int]:
        """The length of a segment without EOS, and of the targets with EOS."""
        return inputs_length - 1, inputs_length

    @staticmethod
    @abc.abstractmethod
    def _in_targets(lengths: Lengths, rng: np.random.Generator) -> Mask:
        """Marks the tokens of the targets in segments of the given lengths, laid end to end."""


def _columns(lengths: Lengths) -> Int[np.ndarray, " tokens"]:
    """The position of each token in its row, for rows of these lengths laid end to end."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _padded(tokens: Tokens, rows: Rows, size: int, length: int) -> Int32[np.ndarray, "B T"]:
    """An array of flat tokens by row; rows are cut to `length - 1` tokens and end with EOS."""
    counts = np.bincount(rows, minlength=size)
    columns = _columns(counts)
    fits = columns < length - 1
    array = np.zeros((size, length), np.int32)
    array[rows[fits], columns[fits]] = tokens[fits]
    array[np.arange(size), np.minimum(counts, length - 1)] = EOS_ID
    return array


def _partition(items: Lengths, parts: Lengths, rng: np.random.Generator) -> Int[np.ndarray, "B P"]:
    """Divides `items[i]` items into `parts[i]` non-empty parts; all divisions are equally likely.

    Returns the sizes of the parts; a row with fewer than P parts ends with zeros.
    """
    inner = max(int(items.max()) - 1, 1)
    keys = rng.random((len(items), inner))
    keys[np.arange(inner) >= (items - 1)[:, None]] = 2.0
    # The `parts - 1` smallest keys mark the items, after the first, that begin a part.
    ranked = np.argsort(keys, axis=1)
    begins = np.zeros((len(items), inner + 1), np.int64)
    np.put_along_axis(begins[:, 1:], ranked, np.arange(inner) < (parts - 1)[:, None], axis=1)
    part = np.cumsum(begins, axis=1)
    width = int(parts.max())
    cell = (np.arange(len(items))[:, None] * width + part)[np.arange(inner + 1) < items[:, None]]
    return np.bincount(cell, minlength=len(items) * width).reshape(len(items), width)


def noise_mask(lengths: Lengths, rng: np.random.Generator) -> Mask:
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


def hide(
    tokens: Tokens, rows: Rows, hidden: Mask, first_sentinel: int | None
) -> tuple[Int32[np.ndarray, " rest"], Int[np.ndarray, " rest"]]:
    """Removes the hidden tokens, and returns tokens with their row numbers.

    Given a `first_sentinel`, a sentinel replaces each run of hidden tokens. The sentinels of a row
    count down from it.
    """
    if first_sentinel is None:
        return tokens[~hidden], rows[~hidden]
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

    Documents are merged in groups of 128 before they are cut into segments. `vocabulary_size`
    includes the extra ids; `<extra_id_0>` is the last id.

    Raises:
      DataError: there are no tokens, or an input needs more sentinels than there are.
    """

    documents_per_group = 128
    _lengths = staticmethod(span_lengths)
    _in_targets = staticmethod(noise_mask)

    def __init__(self, documents: Sequence[Shard], *, vocabulary_size: int, **common: int) -> None:
        super().__init__(documents, **common)
        spans = round(round(self.segment_length * NOISE_DENSITY) / MEAN_SPAN_LENGTH)
        if spans > EXTRA_IDS:
            raise DataError(
                f"Inputs of {self.inputs_length} tokens have {spans} spans of noise, but the "
                f"vocabulary has {EXTRA_IDS} sentinels; choose a smaller inputs_length."
            )
        self._first_sentinel = vocabulary_size - 1


class PrefixLM(_Stream):
    """The objective of LM adaptation (section 3.3): a prefix is the input, the rest the target.

    Documents are cut into segments of `inputs_length - 1` tokens and never merged. The split point
    is uniform over the segment.
    """

    documents_per_group = 1

    @staticmethod
    def _in_targets(lengths: Lengths, rng: np.random.Generator) -> Mask:
        # A segment of 1 token has an empty prefix.
        split = rng.integers(np.minimum(lengths - 1, 1), np.maximum(lengths, 1))
        return _columns(lengths) >= np.repeat(split, lengths)
