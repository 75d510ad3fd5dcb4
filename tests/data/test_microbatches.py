"""Micro-batches: every row once, within the budget, in few shapes, with little padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptscale.config.lengths import lengths
from promptscale.config.tasks import SUPER_GLUE
from promptscale.data.microbatches import Shapes, pad_rows, rounded_length
from promptscale.data.vocabulary import EOS_ID

MANY = 10**9  # rows of a training for which compilation costs nothing


@given(
    sizes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9)), min_size=1, max_size=70),
    budget=st.integers(1, 2000),
    before=st.integers(0, 20),
    devices=st.integers(1, 4),
    rows=st.sampled_from([1, MANY]),
)
@settings(deadline=None)
def test_every_row_passes_once_within_the_budget(sizes, budget, before, devices, rows):
    inputs, targets = np.array(sizes).T
    shapes = Shapes.fitting(
        inputs, targets, rows=rows, pools=rows, before=before, budget=budget, devices=devices
    )
    cuts = list(shapes.cut(inputs, targets))
    assert sorted(row for cut in cuts for row in cut.rows if row >= 0) == list(range(len(sizes)))
    for cut in cuts:
        chosen = cut.rows[cut.rows >= 0]
        share, rest = divmod(len(cut.rows), devices)
        assert not rest and share.bit_count() == 1 and 2 * (len(chosen) + devices) > len(cut.rows)
        assert rows == 1 or len(cut.rows) - len(chosen) < devices
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


def padding(tasks, runs: int, rows: int = MANY) -> tuple[float, int]:
    """The share of real positions over 40 steps of 32 rows of each run, and the number of shapes.

    Inputs have the lengths of the tasks' training splits, before them is a prompt of 100.
    """
    draw = np.random.default_rng(0)

    def sample(task: str, size: int) -> np.ndarray:
        parts = lengths(task, "train").inputs
        places = (np.arange(len(parts)) + 0.5) / len(parts)
        return np.minimum(np.interp(draw.random(size), places, parts), 512).astype(int)

    inputs = np.concatenate([sample(task, 4000) for task in tasks])
    targets = np.full(len(inputs), 4)
    shapes = Shapes.fitting(
        inputs, targets, rows=rows, pools=rows, before=100, budget=2**11, launch=32
    )
    real, computed, programs = 0, 0, set()
    for _ in range(40):
        pool = np.concatenate([sample(task, 32 * runs) for task in tasks])
        real += int(pool.sum()) + 100 * len(pool)
        for cut in shapes.cut(pool, np.full(len(pool), 4)):
            computed += len(cut.rows) * (100 + cut.inputs_length)
            programs.add((len(cut.rows), cut.inputs_length))
    return real / computed, len(programs)


@pytest.mark.parametrize("tasks", [SUPER_GLUE, *([task] for task in SUPER_GLUE)])
def test_nine_of_ten_positions_are_real_on_superglues_lengths(tasks):
    """Of a single run and of three runs on each task."""
    for runs in (1, 3):
        share, programs = padding(tasks, runs)
        assert share >= 0.92 and programs <= 54


def test_lengths_make_multiples_together_with_the_prompt():
    """The ladder's lengths, and the longest, which is on no ladder."""
    inputs, targets = np.array([3, 30, 60, 97] * 50), np.array([2, 4, 5, 9] * 50)
    settings = {"rows": MANY, "pools": MANY, "before": 101, "budget": 2**11}
    shapes, plain = (Shapes.fitting(inputs, targets, multiple=n, **settings) for n in (8, 1))
    assert all((101 + length) % 8 == 0 for length in shapes.inputs)
    assert all(length % 8 == 0 for length in shapes.targets)
    assert plain.inputs[-1] == 97 <= shapes.inputs[-1] < 97 + 8
    assert list(shapes.inputs) == sorted(set(shapes.inputs))


def test_a_short_training_compiles_a_single_length():
    share, programs = padding(["boolq"], 1, rows=100)
    assert programs <= 3 and share < 0.9


@pytest.mark.parametrize(("pools", "rows"), [(1, [64, 32]), (MANY, [64, 16, 4, 1])])
def test_the_last_rows_pass_together_in_a_short_job_alone(pools, rows):
    """85 rows of 12 positions: 21 rows are left when 64 have passed."""
    lengths = np.full(85, 8), np.full(85, 4)
    shapes = Shapes.fitting(*lengths, rows=85, pools=pools, budget=64 * 12)
    assert [len(cut.rows) for cut in shapes.cut(*lengths)] == rows
