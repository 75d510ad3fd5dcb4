"""Span corruption and prefix LM: segments, noise, and random access, without TensorFlow."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from promptscale.data.objectives import PrefixLM, SpanCorruption, noise_mask, span_lengths
from promptscale.data.permutation import permute
from promptscale.data.prepared import Ragged
from promptscale.errors import DataError

VOCABULARY_SIZE = 400


def documents(lengths: list[int], first: int = 3) -> Ragged:
    """Documents of consecutive token ids, so that each id identifies its position."""
    edges = np.cumsum([first, *lengths])
    return Ragged.pack([range(a, b) for a, b in itertools.pairwise(edges)])


def text(row: np.ndarray) -> list[int]:
    """The tokens of a padded row before its EOS, after which only padding is allowed."""
    end = int(np.argmax(row == 1))
    assert row[end] == 1 and not row[end + 1 :].any()
    return row[:end].tolist()


def restored(inputs: list[int], targets: list[int], vocabulary_size: int) -> list[int]:
    """The raw tokens of a corrupted example: the targets' spans replace the sentinels."""
    spans: dict[int, list[int]] = {}
    for token in targets:
        if token >= vocabulary_size - 100:
            spans[token] = []
            last = token
        else:
            spans[last].append(token)
    out: list[int] = []
    for token in inputs:
        out += spans.pop(token) if token in spans else [token]
    assert all(not rest for rest in spans.values())
    return out


def test_lengths_of_pretraining() -> None:
    assert span_lengths(512) == (568, 114)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 17, 64, 1000])
def test_every_epoch_is_a_permutation(size: int) -> None:
    epochs = [permute(np.arange(size), np.full(size, epoch), size, seed=3) for epoch in range(4)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(size))
    if size > 5:
        assert len({tuple(epoch) for epoch in epochs}) == 4


def test_permutation_is_uniform() -> None:
    # Over many epochs each of the 24 orders of four items occurs equally often.
    epochs = np.repeat(np.arange(6000), 4)
    orders = permute(np.tile(np.arange(4), 6000), epochs, 4, seed=0).reshape(-1, 4)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(0, 150), min_size=1, max_size=12).filter(any),
    seed=st.integers(0, 1000),
    batch_size=st.integers(1, 9),
)
def test_span_corruption_loses_and_adds_nothing(lengths, seed, batch_size) -> None:
    size = 10_000
    stream = SpanCorruption(
        [documents(lengths)],
        vocabulary_size=size,
        inputs_length=32,
        seed=seed,
        batch_size=batch_size,
    )
    seen: list[int] = []
    steps = -(-stream.num_segments // batch_size)
    for step in range(steps):
        batch = stream.batch(step)
        assert batch.inputs.shape == (batch_size, 32)
        assert batch.targets.shape == (batch_size, stream.targets_length)
        assert batch.inputs.dtype == batch.targets.dtype == np.int32
        for row, target in zip(batch.inputs, batch.targets, strict=True):
            assert (
                target[0] == size - 1
            )  # a clean span comes first, so targets start with <extra_id_0>
            seen += restored(text(row), text(target), size)
    # An epoch has every token once; the rest of the last batch repeats some.
    extra = steps * batch_size - stream.num_segments
    if not extra:
        assert sorted(seen) == list(range(3, 3 + sum(lengths)))
    assert set(seen) == set(range(3, 3 + sum(lengths)))


def test_noise_has_the_published_density_and_spans() -> None:
    lengths = np.array([568] * 200)
    mask = noise_mask(lengths, np.random.default_rng(0)).reshape(200, 568)
    assert (mask.sum(axis=1) == 85).all()  # 15 %
    starts = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]
    assert (starts.sum(axis=1) == 28).all()  # 85 / 28: spans of 3.04 tokens
    assert not mask[:, 0].any() and mask[:, -1].all()


def test_noise_masks_are_equally_likely() -> None:
    # 40 tokens: 6 noisy in 2 spans (5 ways), 34 clean in 2 runs (33 ways).
    rows = 20_000
    mask = noise_mask(np.full(rows, 40), np.random.default_rng(1)).reshape(rows, 40)
    first_clean = mask.argmax(axis=1)
    second = ~mask & (np.arange(40) > first_clean[:, None])
    first_noisy = second.argmax(axis=1) - first_clean
    for values, ways in ((first_clean, 33), (first_noisy, 5)):
        counts = np.bincount(values, minlength=ways + 1)[1:]
        assert len(counts) == ways
        assert stats.chisquare(counts).pvalue > 1e-4


def test_short_segments_have_noise_too() -> None:
    lengths = np.array([1, 2, 3, 1])
    mask = noise_mask(lengths, np.random.default_rng(0))
    assert mask.tolist() == [False, False, True, False, False, True, False]


def test_prefix_lm_splits_uniformly_and_does_not_merge_documents() -> None:
    stream = PrefixLM([documents([11] * 3)], inputs_length=12, seed=5, batch_size=999)
    points = []
    for step in range(10):
        batch = stream.batch(step)
        for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
            prefix, continuation = text(inputs), text(targets)
            whole = prefix + continuation
            assert whole in [list(range(a, a + 11)) for a in (3, 14, 25)]
            points.append(len(prefix))
    counts = np.bincount(points, minlength=11)
    assert counts[0] == 0 and len(counts) == 11
    assert stats.chisquare(counts[1:]).pvalue > 1e-4


def test_prefix_lm_cuts_long_targets_and_takes_single_tokens() -> None:
    stream = PrefixLM([documents([30, 1])], inputs_length=31, seed=0, batch_size=50)
    stream.targets_length = 4
    batch = stream.batch(0)
    assert batch.targets.shape == (50, 4)
    for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
        prefix, continuation = text(inputs), text(targets)
        assert len(continuation) <= 3
        if not prefix:
            assert continuation == [33]  # the document of 1 token has an empty prefix
        else:
            assert continuation[0] == prefix[-1] + 1


@pytest.mark.parametrize("objective", [SpanCorruption, PrefixLM])
def test_a_restart_continues_at_the_same_example(objective) -> None:
    extra = {"vocabulary_size": VOCABULARY_SIZE} if objective is SpanCorruption else {}
    options = {"inputs_length": 24, "seed": 7, "batch_size": 6, **extra}
    stream = objective([documents([40, 3, 77, 0, 12, 9])], **options)
    first = [stream.batch(step) for step in range(30)]
    again = objective([documents([40, 3, 77, 0, 12, 9])], **options)
    for step in (29, 4, 17):
        for resumed, before in zip(again.batch(step), first[step], strict=True):
            np.testing.assert_array_equal(resumed, before)
    other = objective([documents([40, 3, 77, 0, 12, 9])], **{**options, "seed": 8})
    assert any((other.batch(s).inputs != first[s].inputs).any() for s in range(3))


def test_epochs_differ_in_order_and_noise() -> None:
    stream = SpanCorruption(
        [documents([260])], vocabulary_size=VOCABULARY_SIZE, inputs_length=24, seed=0, batch_size=10
    )
    assert stream.num_segments == 10  # of 26 tokens, which fill 24 inputs
    epochs = [stream.batch(step).inputs.tolist() for step in range(3)]
    assert len({str(epoch) for epoch in epochs}) == 3


def test_shards_follow_each_other() -> None:
    shards = [documents([7, 30, 5]), documents([22, 14], first=45)]
    stream = PrefixLM(shards, inputs_length=11, seed=0, batch_size=1)
    tokens = stream.read(stream.segments(np.arange(stream.num_segments)))
    segments = [segment.tolist() for segment in tokens]
    assert list(itertools.chain(*segments)) == list(range(3, 81))
    assert max(map(len, segments)) == 10
    assert [s[0] for s in segments if s[0] in {10, 40, 45, 67}] == [3 + 7, 3 + 37, 45, 45 + 22]


@pytest.mark.parametrize("objective", [SpanCorruption, PrefixLM])
def test_a_host_reads_only_its_rows_and_draws_those_of_the_whole_batch(objective) -> None:
    class Watched(Ragged):
        def read_async(self, start: int, end: int):
            read.append(end - start)
            return super().read_async(start, end)

    read: list[int] = []
    whole = documents([40, 3, 77, 1, 12, 9])
    extra = {"vocabulary_size": VOCABULARY_SIZE} if objective is SpanCorruption else {}
    options = {"inputs_length": 24, "seed": 7, "batch_size": 6, **extra}
    stream = objective([Watched(whole.ids, whole.offsets)], **options)
    for step in range(10):
        expected = objective([whole], **options).batch(step)
        for rows in (slice(0, 2), slice(2, 6), slice(3, 4)):
            read.clear()
            batch = stream.batch(step, rows)
            assert len(read) == rows.stop - rows.start
            np.testing.assert_array_equal(batch.inputs, expected.inputs[rows])
            np.testing.assert_array_equal(batch.targets, expected.targets[rows])


def test_empty_text_is_an_error() -> None:
    with pytest.raises(DataError, match="no text to train on"):
        PrefixLM([documents([0, 0])], inputs_length=8, seed=0, batch_size=2)
