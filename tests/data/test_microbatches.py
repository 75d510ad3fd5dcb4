"""Micro-batches: every row once, within the budget, in few shapes, with little padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptscale.data.microbatches import Shapes, pad_rows, rounded_length
from promptscale.data.vocabulary import EOS_ID

MANY = 10**9  # rows of a training for which compilation costs nothing
# Median, spread and number of a batch's rows, roughly those of SuperGLUE (docs/benchmarks.md).
LENGTHS = {
    "wic": (45, 0.2), "copa": (42, 0.15), "wsc": (60, 0.35), "rte": (80, 0.5), "cb": (95, 0.45),
    "boolq": (150, 0.45), "multirc": (330, 0.25), "record": (290, 0.25),
}  # fmt: skip


@given(
    lengths=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9)), min_size=1, max_size=70),
    budget=st.integers(1, 2000),
    before=st.integers(0, 20),
    devices=st.integers(1, 4),
    rows=st.sampled_from([1, MANY]),
)
@settings(deadline=None)
def test_every_row_passes_once_within_the_budget(lengths, budget, before, devices, rows):
    inputs, targets = np.array(lengths).T
    shapes = Shapes.fitting(
        inputs, targets, rows=rows, before=before, budget=budget, devices=devices
    )
    cuts = list(shapes.cut(inputs, targets))
    assert sorted(row for cut in cuts for row in cut.rows if row >= 0) == list(range(len(lengths)))
    for cut in cuts:
        chosen = cut.rows[cut.rows >= 0]
        share, rest = divmod(len(cut.rows), devices)
        assert not rest and share.bit_count() == 1 and len(cut.rows) - len(chosen) < devices
        assert share == 1 or share * (before + cut.inputs_length + cut.targets_length) <= budget
        assert inputs[chosen].max() <= cut.inputs_length in shapes.inputs
        assert targets[chosen].max() <= cut.targets_length <= targets.max()


def test_rows_are_padded_and_empty_rows_have_no_token():
    sequences = [np.array([5, 6]), np.array([7])]
    padded = pad_rows(sequences, np.array([1, 0, -1]), 4)
    assert padded.tolist() == [[7, EOS_ID, 0, 0], [5, 6, EOS_ID, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("length", "rounded"),
    [(1, 4), (4, 4), (5, 8), (9, 16), (16, 16), (17, 32), (100, 112), (129, 160), (600, 640)],
)
def test_lengths_come_from_a_short_ladder(length, rounded):
    assert rounded_length(length) == rounded


def padding(tasks, runs: int, budget: int, rows: int = MANY) -> tuple[float, int]:
    """The share of real positions over 50 steps of batches of 32, and the number of shapes."""
    draw = np.random.default_rng(0)
    data = {
        task: np.clip(draw.lognormal(np.log(LENGTHS[task][0]), LENGTHS[task][1], 4000), 12, 512)
        for task in tasks
    }
    data = {task: lengths.astype(int) for task, lengths in data.items()}
    lengths = np.concatenate(list(data.values()))
    targets = np.full(len(lengths), 4)
    shapes = Shapes.fitting(lengths, targets, rows=rows, before=100, budget=budget)
    real, computed, programs = 0, 0, set()
    for _ in range(50):
        pool = np.concatenate([draw.choice(data[task], 32 * runs) for task in tasks])
        real += int(pool.sum()) + 100 * len(pool)
        for cut in shapes.cut(pool, np.full(len(pool), 4)):
            computed += len(cut.rows) * (100 + cut.inputs_length)
            programs.add((len(cut.rows), cut.inputs_length))
    return real / computed, len(programs)


def test_nine_of_ten_positions_are_real_on_lengths_like_superglues():
    """Of three runs on each task, on average; and of all eight tasks together."""
    alone = [padding([task], 3, 2**11) for task in LENGTHS]
    together = padding(list(LENGTHS), 3, 2**11)
    assert np.mean([share for share, _ in alone]) >= 0.9 and together[0] >= 0.9
    assert all(programs <= 32 for _, programs in [*alone, together])


def test_a_short_training_compiles_a_single_length():
    share, programs = padding(["boolq"], 1, 2**11, rows=100)
    assert programs <= 3 and share < 0.9
