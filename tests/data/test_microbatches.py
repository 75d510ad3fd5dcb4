"""Micro-batches: rows padded to a shape, and what they compute."""

import numpy as np

from promptscale.data.microbatches import Work, pad_rows, work
from promptscale.data.shapes import Cut, Shape, Shapes
from promptscale.data.vocabulary import EOS_ID


def test_rows_are_padded_and_empty_rows_have_no_token():
    sequences = [np.array([5, 6]), np.array([7])]
    padded = pad_rows(sequences, np.array([1, 0, -1]), 4)
    assert padded.tolist() == [[7, EOS_ID, 0, 0], [5, 6, EOS_ID, 0], [0, 0, 0, 0]]


def test_padding_is_computed_and_is_no_work():
    """Two rows of 3 and 5 input and 2 target positions, after a prompt of 10; one row is empty."""
    shapes = Shapes({Shape(4, 8, 4)}, Shape(1, 8, 4), before=10, devices=1, launch=0.0)
    cuts = [Cut(np.array([1, 0, -1, -1]), 8, 4)]
    done = work(shapes, cuts, np.array([3, 5]), np.array([2, 2]), lambda encoder, _: encoder)
    assert done == Work(
        examples=2, positions=3 + 5 + 2 * (10 + 2), computed=4 * (10 + 8 + 4), flops=13 + 15
    )
