"""Reports of a training between its evaluations: right numbers, and no waiting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from promptscale.data.microbatches import Work
from promptscale.storage.events import Pace
from promptscale.training import reports
from promptscale.training.reports import Reports
from promptscale.training.step import TrainState

WORK = Work(examples=4, positions=80, computed=100, flops=1e6)


def state(losses: list[float], tokens: list[float]) -> TrainState:
    """The losses and target tokens that two runs have summed up since their last evaluation."""
    return TrainState({}, None, jnp.array(losses), jnp.array(tokens), jnp.zeros(2, jnp.int32))


@pytest.fixture
def clock():
    """Seconds of training, which the tests set."""
    return [0.0]


@pytest.fixture
def made(clock, caplog) -> Reports:
    """Reports of a training of 10 steps that are due at every step."""
    caplog.set_level("INFO")
    made = Reports(10, lambda: clock[0], peak_flops=1e7)
    made._pace = Pace(0.0)
    return made


def events(caplog) -> list[dict]:
    return [record.event for record in caplog.records if hasattr(record, "event")]


def test_losses_are_means_since_the_report_before(made, clock, caplog):
    """Each step reports the step before, whose losses have been copied."""
    made.after_step(1, state([8.0, 4.0], [4.0, 4.0]), WORK)
    assert events(caplog) == []
    jax.block_until_ready(made._pending.sums)
    clock[0] = 2.0
    made.after_step(2, state([10.0, 8.0], [8.0, 8.0]), WORK)
    jax.block_until_ready(made._pending.sums)
    clock[0] = 3.0
    made.after_step(3, state([11.0, 9.0], [12.0, 12.0]), WORK)
    first, second = events(caplog)
    assert (first["step"], first["steps"], first["loss"]) == (1, 10, 1.5)
    assert (second["step"], second["loss"]) == (2, 0.75)
    assert first["examples_per_second"] == 2.0 and second["examples_per_second"] == 4.0
    assert first["tokens_per_second"] == 40.0 and first["padding"] == pytest.approx(0.2)
    assert first["share_of_peak"] == pytest.approx(0.05)
    assert "left" not in caplog.text.splitlines()[-2]  # a first report knows no pace
    assert caplog.text.splitlines()[-1].endswith("8 s left")  # 8 steps of a second


def test_long_times_that_are_left_are_minutes(made, clock, caplog):
    for clock[0], step in ((0.0, 1), (100.0, 2)):
        made.now(step, state([1.0, 1.0], [1.0, 1.0]))
    assert caplog.text.endswith(", 13 min left\n")


def test_an_evaluation_reports_all_steps_and_starts_anew(made, clock, caplog):
    made._pace = Pace(1e9)
    for step in (1, 2):
        made.after_step(step, state([4.0 * step, 4.0 * step], [4.0, 4.0]), WORK)
    clock[0] = 4.0
    made.now(2, state([8.0, 8.0], [4.0, 4.0]))
    clock[0] = 100.0
    made.restart()
    made.after_step(3, state([2.0, 2.0], [4.0, 4.0]), WORK)
    clock[0] = 101.0
    made.now(3, state([2.0, 2.0], [4.0, 4.0]))
    first, second = events(caplog)
    assert (first["step"], first["loss"], first["examples_per_second"]) == (2, 2.0, 2.0)
    assert (second["step"], second["loss"], second["examples_per_second"]) == (3, 0.5, 4.0)


def test_a_stopped_run_does_not_count_and_without_any_there_is_no_loss(made, caplog):
    made.now(1, state([8.0, 99.0], [4.0, 0.0]))
    made.restart()
    made.now(2, state([0.0, 0.0], [0.0, 0.0]))
    assert [event["loss"] for event in events(caplog)] == [2.0, None]


class _Busy:
    """An array that the device has not computed; to read it would wait."""

    def is_ready(self) -> bool:
        return False

    def __array__(self) -> np.ndarray:
        raise AssertionError("a report between evaluations has waited")


def test_a_busy_device_delays_a_report_and_nobody_waits(made, clock, caplog, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(reports.jnp, "copy", lambda array: _Busy())
        for step in (1, 2, 3):
            made.after_step(step, state([4.0 * step, 4.0], [4.0, 4.0]), WORK)
    assert events(caplog) == []
    clock[0] = 3.0
    made.now(3, state([12.0, 4.0], [4.0, 4.0]))
    (event,) = events(caplog)
    assert (event["step"], event["loss"], event["examples_per_second"]) == (3, 2.0, 4.0)
