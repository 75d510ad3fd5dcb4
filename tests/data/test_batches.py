"""Batches of inputs by length: every input once, within the bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptscale.data.batches import by_length, rounded_length
from promptscale.data.prepared import Ragged
from promptscale.data.vocabulary import EOS_ID


@given(
    lengths=st.lists(st.integers(0, 90), max_size=40),
    batch_size=st.integers(1, 9),
    max_tokens=st.integers(1, 400),
    before=st.integers(0, 20),
    multiple=st.integers(1, 4),
)
@settings(deadline=None)
def test_every_input_is_in_a_batch_within_the_bounds(
    lengths, batch_size, max_tokens, before, multiple
):
    inputs = Ragged.pack([[index + 2] * length for index, length in enumerate(lengths)])
    batches = list(by_length(inputs, batch_size, max_tokens, before=before, multiple=multiple))
    assert sorted(int(i) for batch in batches for i in batch.examples) == list(range(len(lengths)))
    for batch in batches:
        rows, length = batch.inputs.shape
        assert rows % multiple == 0 and rows - multiple < batch_size
        assert rows == multiple or rows // multiple * (before + length) <= max_tokens
        for index, row in zip(batch.examples, batch.inputs, strict=False):
            ids = inputs[int(index)]
            np.testing.assert_array_equal(row[: len(ids)], ids)
            assert row[len(ids)] == EOS_ID and not row[len(ids) + 1 :].any()
        assert not batch.inputs[len(batch.examples) :].any()


@pytest.mark.parametrize(("length", "rounded"), [(1, 16), (17, 24), (24, 24), (25, 32), (600, 768)])
def test_lengths_are_rounded_to_few_shapes(length, rounded):
    assert rounded_length(length) == rounded


def test_the_longest_inputs_of_boolq_are_bounded_in_memory():
    """BoolQ's longest dev inputs have some 1,170 tokens: batches of 128 of them had 160,000."""
    inputs = Ragged.pack([np.full(1170, 5)] * 200 + [np.full(170, 5)] * 3000)
    batches = list(by_length(inputs, 128, 2**15, before=100))
    positions = [batch.inputs.shape[0] * (100 + batch.inputs.shape[1]) for batch in batches]
    assert max(positions) <= 2**15
    assert sum(positions) < 1.35 * (200 * 1270 + 3000 * 270)
