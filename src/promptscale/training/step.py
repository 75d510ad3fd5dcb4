"""A training step of N runs: gradients of micro-batches are summed, then all runs are updated.

A micro-batch may hold rows of several runs that share a frozen model. Each row has its run's prompt
before it, so the model sees an ordinary batch, and a run trains among others as it would alone.
Each array is updated by itself, that of all runs at once: arrays of the same shape share a small
program, where a single program of all arrays of T5 Small compiles for two minutes.
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
from jaxtyping import Array, Float, Int, Key

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


Counters = tuple[Float[Array, " N"], Float[Array, " N"], Int[Array, " N"]]


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
        sums = self._run("zeros", None, _zeros, (), Sums(state.trainable, state.loss, state.tokens))
        for rows in batch:
            program, shapes = f"step of {rows.inputs.shape} inputs", jax.tree.map(np.shape, rows)
            arguments = (sums, state.trainable, frozen, rows, keys, step)
            sums = self._run(program, shapes, self._accumulate, (0,), *arguments)
        loss, tokens, diverged = self._run(
            "check", None, check, (0,), state[2:], sums, state.trainable, step
        )
        structure: Any = jax.tree.structure(state.trainable)
        trees = (state.trainable, state.optimizer.arrays, sums.gradient)
        updated = [
            self._run(
                f"update of {array.shape}", array.sharding, update, (0,),
                (array, moments), gradient, state.optimizer.hyperparameters, diverged,
            )
            for array, moments, gradient in zip(*map(structure.flatten_up_to, trees), strict=True)
        ]  # fmt: skip
        trainable, moments = map(structure.unflatten, zip(*updated, strict=True))
        optimizer_state = state.optimizer._replace(arrays=moments)
        return TrainState(trainable, optimizer_state, loss, tokens, diverged)

    def _run(
        self,
        program: str,
        key: Any,
        function: Callable[..., Any],
        donated: tuple[int, ...],
        *arguments: Any,
    ) -> Any:
        """Runs a program, compiled when it first runs with this key.

        Its result is laid out as its argument 0.
        """
        if (program, key) not in self._programs:
            log.info("compiling: %s", program, extra=event("compiling", program=program))
            jax.block_until_ready(arguments[0])  # what the device still computes is training
            started = time.perf_counter()
            shardings = jax.tree.map(lambda leaf: leaf.sharding, arguments[0])
            jitted = jax.jit(function, donate_argnums=donated, out_shardings=shardings)
            self._programs[program, key] = jitted.lower(*arguments).compile()
            self.seconds += time.perf_counter() - started
        result = self._programs[program, key](*arguments)
        if jax.device_count() > 1 and jax.default_backend() == "cpu":
            # Accelerators run programs in turn. The devices of a CPU run independent programs at
            # the same time and in any order, and their collectives would wait for each other.
            jax.block_until_ready(result)
        return result


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


def check(counters: Counters, sums: Sums, trainable: Any, number: Int[Any, ""]) -> Counters:
    """The losses, tokens and divergences (`TrainState`) after step `number`.

    A run diverges where its loss is not finite, or the squares of its gradient or of what it
    trains, which Adafactor takes the mean of: it stops before what it trains can overflow. The
    losses of a run that has diverged are not counted.
    """
    loss, tokens, diverged = counters
    squares = [
        jnp.sum(jnp.square(leaf), axis=range(1, leaf.ndim))
        for leaf in jax.tree.leaves((sums.gradient, trainable))
    ]
    finite = jnp.all(jnp.isfinite(jnp.stack([sums.loss, *squares])), axis=0)
    diverged = jnp.where(finite | (diverged > 0), diverged, number + 1)
    going = diverged == 0
    counted = (
        jnp.where(going, loss + sums.loss, loss),
        jnp.where(going, tokens + sums.tokens, tokens),
    )
    return *counted, diverged


def update(
    state: tuple[Array, optax.OptState],
    gradient: Array,
    settings: optimizer.Hyperparameters,
    diverged: Int[Array, " N"],
) -> tuple[Array, optax.OptState]:
    """An array of all runs, and the optimiser's state of it, after a step.

    A run that has diverged keeps them as they were. The optimiser is inside the `vmap`: Adafactor's
    factoring and clipping see a run's array.
    """

    def update_run(state: Any, gradient: Array, settings: Any, diverged: Array) -> Any:
        array, moments = state
        updated = optimizer.update(array, moments, gradient, settings)
        return jax.tree.map(functools.partial(jax.lax.select, diverged == 0), updated, state)

    return jax.vmap(update_run)(state, gradient, settings, diverged)
