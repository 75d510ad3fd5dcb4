"""Reports of a training while it runs: losses and rates, without waiting for the devices."""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from promptscale.data.microbatches import Work
from promptscale.storage.events import Pace, event
from promptscale.training.step import TrainState
from promptscale.training.throughput import Throughput

log = logging.getLogger(__name__)


class _Pending(NamedTuple):
    """A report whose losses are still being computed."""

    step: int
    sums: tuple[
        jax.Array, jax.Array
    ]  # losses and target tokens since the last evaluation, each [N]
    work: Work  # since the report before


class Reports:
    """Reports at most every few seconds, and at every evaluation.

    A report between evaluations copies the losses on the device and reads the copy when it is
    ready, some steps later. So it never waits, and its rates are those of completed steps.
    """

    def __init__(self, steps: int, seconds: Callable[[], float], peak_flops: float = 0.0) -> None:
        """`seconds` gives the seconds of training so far, without compilation."""
        self._steps, self._seconds, self._peak_flops = steps, seconds, peak_flops
        self._pace = Pace()
        self._pending: _Pending | None = None
        self._last: tuple[int, float] | None = None  # step and seconds of the report before
        self.restart()

    def restart(self) -> None:
        """Starts to count anew after an evaluation, when the state's losses are zero again."""
        self._work, self._reported = Work(), self._seconds()
        self._sums = (np.zeros(1), np.zeros(1))

    def after_step(self, step: int, state: TrainState, work: Work) -> None:
        """Counts a step that was dispatched, and reports if it is time and nothing has to wait."""
        self._work = self._work.plus(work)
        if self._pending and all(map(_is_ready, self._pending.sums)):
            self._report(self._pending)
        if self._pending is None and self._pace.due():
            loss, tokens = (jnp.copy(leaf) for leaf in _local(state))
            self._pending = _Pending(step, (loss, tokens), self._work)
            self._work = Work()

    def now(self, step: int, state: TrainState) -> None:
        """Reports the steps until now; waits for them."""
        jax.block_until_ready(state)
        work = self._work.plus(self._pending.work) if self._pending else self._work
        self._report(_Pending(step, _local(state), work))

    def _report(self, report: _Pending) -> None:
        seconds, sums = self._seconds(), tuple(map(np.asarray, report.sums))
        loss, tokens = (now - before for now, before in zip(sums, self._sums, strict=True))
        losses = loss[tokens > 0] / tokens[tokens > 0]
        mean = float(losses.mean()) if len(losses) else None
        throughput = Throughput(report.work, seconds - self._reported, self._peak_flops)
        log.info(
            "step %d of %d: %s%s%s", report.step, self._steps,
            "" if mean is None else f"loss {mean:.4g}, ",
            throughput, self._left(report.step, seconds),
            extra=event("step", step=report.step, steps=self._steps, loss=mean, **throughput.rates),
        )  # fmt: skip
        self._pending, self._reported = None, seconds
        self._last = report.step, seconds
        self._sums = sums[0], sums[1]

    def _left(self, step: int, seconds: float) -> str:
        """The time that the other steps take at the pace since the last report."""
        if self._last is None or step <= self._last[0] or step == self._steps:
            return ""
        pace = (seconds - self._last[1]) / (step - self._last[0])
        left = pace * (self._steps - step)
        return f", {left / 60:.0f} min left" if left >= 60 else f", {left:.0f} s left"


def _is_ready(array: Any) -> bool:
    """Whether a device has computed the array; the type `jax.Array` does not declare the method."""
    return array.is_ready()


def _local(state: TrainState) -> tuple[jax.Array, jax.Array]:
    """This process's copies of the summed losses and target tokens, each [N]."""
    loss, tokens = state.loss.addressable_data(0), state.tokens.addressable_data(0)
    return loss, tokens
