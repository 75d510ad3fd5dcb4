"""A training step of N runs: gradients of micro-batches are summed, then all runs are updated.

A micro-batch may hold rows of several runs that share a frozen model. Each row has its run's prompt
before it, so the model sees an ordinary batch, and a run trains among others as it would alone.
Letters: N runs, R rows of a micro-batch.
"""

import functools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from promptscale.data.microbatches import Rows
from promptscale.distributed.mesh import Devices
from promptscale.storage.events import event
from promptscale.training import optimizer
from promptscale.training.methods import LossFunction, Start

log = logging.getLogger(__name__)


class TrainState(NamedTuple):
    """N runs in training; every leaf has a leading axis of N."""

    trainable: Any
    optimizer: optimizer.OptimizerState
    loss: Float[Array, " N"]  # summed since the last report
    tokens: Float[Array, " N"]  # target tokens in that sum
    diverged: Int[Array, " N"]  # the step, from 1, at which a run diverged and stopped; or 0


class Sums(NamedTuple):
    """What the micro-batches of a step add up to; every leaf has a leading axis of N."""

    gradient: Any
    loss: Float[Array, " N"]
    tokens: Float[Array, " N"]


def initial_state(
    start: Start, optimizers: Sequence[optimizer.Optimizer], devices: Devices
) -> TrainState:
    """The state of N runs before their first step, with the checkpoint's accumulators if any.

    Args:
      start: what the runs train, on the devices.
      optimizers: the settings of each run's optimiser.
      devices: where the optimiser's state goes.
    Raises:
      CheckpointError: the accumulators do not fit the model.
    """
    init = jax.jit(jax.vmap(optimizer.init), out_shardings=devices.replicated())
    settings = devices.replicate(optimizer.hyperparameters(optimizers, start.step))
    state = init(start.trainable, settings)
    if start.accumulators:
        state = devices.replicate(
            optimizer.restore_accumulators(state, start.accumulators, len(optimizers))
        )
    zeros = np.zeros(len(optimizers), np.float32)
    counters = devices.replicate((zeros, zeros, zeros.astype(np.int32)))
    return TrainState(start.trainable, state, *counters)


class Step:
    """A training step, compiled once for each shape of its micro-batches.

    `seconds` is the time that compiling took so far.
    """

    def __init__(
        self, loss_function: LossFunction, shared: bool, loss_normalizing_factor: float = 1.0
    ) -> None:
        """Takes the loss, and whether micro-batches have rows of several runs (`Method.shared`)."""
        self._accumulate = functools.partial(
            accumulate, loss_function, shared, loss_normalizing_factor
        )
        self._programs: dict[Any, Callable[..., Any]] = {}
        self.seconds = 0.0

    def __call__(
        self,
        state: TrainState,
        frozen: Any,
        batch: Iterable[Rows],
        keys: Key[Array, " N"],
        number: int,
    ) -> TrainState:
        """The state after step `number`; `state` is donated.

        `batch` holds each row of the step once. `keys` are the runs' keys: a row's dropout key
        comes from its run's key, the step, and its place in its run's batch.
        """
        step = np.int32(number)
        sums = self._run("zeros", _zeros, (), Sums(state.trainable, state.loss, state.tokens))
        for rows in batch:
            arguments = (sums, state.trainable, frozen, rows, keys, step)
            sums = self._run(jax.tree.map(np.shape, rows), self._accumulate, (0,), *arguments)
        return self._run("update", update, (0,), state, sums, step)

    def _run(
        self, name: Any, function: Callable[..., Any], donated: tuple[int, ...], *arguments: Any
    ) -> Any:
        """Runs a program, compiled when it first runs; its result is laid out as its argument 0."""
        if name not in self._programs:
            program = name if isinstance(name, str) else f"step of {tuple(name.inputs)} inputs"
            log.info("compiling: %s", program, extra=event("compiling", program=program))
            jax.block_until_ready(arguments[0])  # what the device still computes is training
            started = time.perf_counter()
            shardings = jax.tree.map(lambda leaf: leaf.sharding, arguments[0])
            jitted = jax.jit(function, donate_argnums=donated, out_shardings=shardings)
            self._programs[name] = jitted.lower(*arguments).compile()
            self.seconds += time.perf_counter() - started
        return self._programs[name](*arguments)


def _zeros(sums: Sums) -> Sums:
    return jax.tree.map(jnp.zeros_like, sums)


def accumulate(
    loss_function: LossFunction,
    shared: bool,
    loss_normalizing_factor: float,
    sums: Sums,
    trainable: Any,
    frozen: Any,
    rows: Rows,
    keys: Key[Array, " N"],
    number: Int[Any, ""],
) -> Sums:
    """Adds the gradients and losses of a micro-batch to the sums of its step."""
    run = rows.run[0]
    row_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, number)[rows.run]
    row_keys = jax.vmap(jax.random.fold_in)(row_keys, rows.example)

    def normalized(trainable: Any) -> Any:
        loss, tokens = loss_function(trainable, frozen, rows, row_keys)
        return jnp.sum(loss) / loss_normalizing_factor, (loss, tokens)

    part = trainable if shared else jax.tree.map(lambda leaf: leaf[run], trainable)
    gradient, (loss, tokens) = jax.grad(normalized, has_aux=True)(part)

    def add(total: Array, value: Array) -> Array:
        return total + value if shared else total.at[run].add(value)

    return Sums(
        jax.tree.map(add, sums.gradient, gradient),
        sums.loss.at[rows.run].add(loss),
        sums.tokens.at[rows.run].add(tokens),
    )


def update(state: TrainState, sums: Sums, number: Int[Any, ""]) -> TrainState:
    """Updates every run by the gradients of step `number`.

    A run whose loss or update is not finite has diverged: it stays as it was before that step. The
    optimiser is inside the `vmap`: Adafactor's factoring and clipping see a run's arrays.
    """
    return jax.vmap(_update_run, (0, 0, None))(state, sums, number)


def _update_run(state: TrainState, sums: Sums, number: Int[Any, ""]) -> TrainState:
    updates, optimizer_state = optimizer.update(sums.gradient, state.optimizer, state.trainable)
    trainable = optax.apply_updates(state.trainable, updates)
    losses = state.loss + sums.loss, state.tokens + sums.tokens
    updated = TrainState(trainable, optimizer_state, *losses, state.diverged)
    going = state.diverged == 0
    stopped = state._replace(diverged=jnp.where(going, number + 1, state.diverged))
    finite = _all_finite((sums.loss, trainable, optimizer_state))
    return jax.tree.map(functools.partial(jax.lax.select, going & finite), updated, stopped)


def _all_finite(tree: Any) -> Bool[Array, ""]:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
