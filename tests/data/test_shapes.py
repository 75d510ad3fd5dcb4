"""Micro-batches: every row once, within the budget, in few shapes, with little padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptscale.config.lengths import lengths
from promptscale.config.tasks import SUPER_GLUE
from promptscale.data.shapes import SAMPLED_ROWS, Shape, Shapes, rounded_length

MANY = 10**9  # pools of a training for which compilation costs nothing


@given(
    sizes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9)), min_size=1, max_size=70),
    others=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9)), max_size=70),
    budget=st.integers(1, 2000),
    before=st.integers(0, 20),
    devices=st.integers(1, 4),
    number=st.sampled_from([1, 3, MANY]),
)
@settings(deadline=None)
def test_every_row_passes_once_within_the_budget(sizes, others, budget, before, devices, number):
    """Also rows of a pool that the shapes were not chosen by."""
    inputs, targets = np.array(sizes).T
    fitted = np.array([*sizes, *others]).T
    shapes = Shapes.fitting(
        [tuple(fitted)], number=number, longest=tuple(fitted.max(axis=1).tolist()),
        before=before, budget=budget, devices=devices,
    )  # fmt: skip
    cuts = list(shapes.cut(inputs, targets))
    assert sorted(row for cut in cuts for row in cut.rows if row >= 0) == list(range(len(sizes)))
    for cut in cuts:
        chosen = cut.rows[cut.rows >= 0]
        share, rest = divmod(len(cut.rows), devices)
        assert not rest and (share, cut.inputs_length, cut.targets_length) in shapes.choice | {
            shapes.longest
        }
        assert cut is cuts[-1] or len(chosen) == len(cut.rows)
        assert share == 1 or share * (before + cut.inputs_length + cut.targets_length) <= budget
        assert inputs[chosen].max() <= cut.inputs_length
        assert targets[chosen].max() <= cut.targets_length <= fitted[1].max()
    if number == MANY and not others:
        assert len(cuts[-1].rows) - np.count_nonzero(cuts[-1].rows >= 0) < devices


@pytest.mark.parametrize(
    ("length", "rounded"),
    [(1, 4), (4, 4), (5, 8), (9, 16), (16, 16), (17, 32), (100, 112), (129, 160), (600, 640)],
)
def test_lengths_come_from_a_short_ladder(length, rounded):
    assert rounded_length(length) == rounded


def padding(tasks, runs: int, steps: int = MANY) -> tuple[float, int]:
    """The share of real positions over 40 steps of 32 rows of each run, and the number of shapes.

    Inputs have the lengths of the tasks' training splits, before them is a prompt of 100.
    """
    draw = np.random.default_rng(0)

    def sample(task: str, size: int) -> np.ndarray:
        parts = lengths(task, "train").inputs
        places = (np.arange(len(parts)) + 0.5) / len(parts)
        return np.minimum(np.interp(draw.random(size), places, parts), 512).astype(int)

    def pool() -> tuple[np.ndarray, np.ndarray]:
        inputs = np.concatenate([sample(task, 32 * runs) for task in tasks])
        return inputs, np.full(len(inputs), 4)

    known = [pool() for _ in range(1 + SAMPLED_ROWS // (32 * runs * len(tasks)))]
    shapes = Shapes.fitting(
        known, number=steps, longest=(512, 4), before=100, budget=2**11, launch=32
    )
    real, computed, programs = 0, 0, set()
    for _ in range(40):
        inputs, targets = pool()
        real += int(inputs.sum()) + 100 * len(inputs)
        for cut in shapes.cut(inputs, targets):
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
    settings = {"number": MANY, "longest": (97, 9), "before": 101, "budget": 2**11}
    shapes, plain = (Shapes.fitting([(inputs, targets)], multiple=n, **settings) for n in (8, 1))
    assert all((101 + length) % 8 == 0 for _, length, _ in shapes.choice)
    assert all(length % 8 == 0 for *_, length in shapes.choice)
    assert plain.longest.inputs == 97 <= shapes.longest.inputs < 97 + 8


def test_a_short_training_compiles_few_programs():
    """The programs that a long training needs would take longer than they save."""
    (share, programs), (most, _) = padding(["boolq"], 3, steps=60), padding(["boolq"], 3)
    assert programs <= 3 and 0.6 < share < most


def test_a_program_is_compiled_where_it_saves_more_than_it_costs():
    """85 rows of 12 positions, of which 64 fit into a micro-batch: 21 rows are left."""
    lengths = np.full(85, 8), np.full(85, 4)

    def rows(number: int, *compiled: int) -> list[int]:
        shapes = Shapes.fitting(
            [lengths], number=number, longest=(8, 4), budget=64 * 12, launch=60, compilation=1000,
            compiled={Shape(rows, 8, 4) for rows in compiled},
        )  # fmt: skip
        return [len(cut.rows) for cut in shapes.cut(*lengths)]

    assert len(set(rows(1))) == 1  # 24 rows of 12 positions cost less than a second program
    assert rows(MANY) == rows(1, 24, 64) == [64, 24]
    assert rows(1, 24) == [24, 24, 24, 24]


def test_three_runs_of_thirty_two_rows_fill_a_micro_batch():
    """Rows are not powers of two alone: 96 rows are three quarters of 128."""
    lengths = np.full(96, 8), np.full(96, 4)
    shapes = Shapes.fitting([lengths], number=1, longest=(8, 4), budget=2**20)
    assert shapes.choice == {(96, 8, 4)}


def test_inputs_of_a_padded_length_are_sorted_by_their_targets():
    """Rows of two target lengths, whose inputs take turns, pass in two micro-batches."""
    inputs, targets = np.arange(33, 49), np.array([4, 64] * 8)
    shapes = Shapes.fitting([(inputs, targets)], number=MANY, budget=2**20, launch=1)
    cuts = list(shapes.cut(inputs, targets))
    assert sorted((len(cut.rows), cut.targets_length) for cut in cuts) == [(8, 4), (8, 64)]
