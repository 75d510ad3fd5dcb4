"""One training step for a batch of N runs that share a frozen model.

Each run has its trainable, optimiser state, examples and dropout key. `vmap` lays the runs side by
side: a run trains among others as it would alone, and the model sees a single large batch. On a CPU
the runs pass in blocks, because what a block computes stays in the cache: six runs at a time take
two thirds of the time of 24 at once.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from promptscale.data.batches import Batch
from promptscale.distributed.mesh import Devices
from promptscale.errors import ConfigError
from promptscale.training import optimizer
from promptscale.training.methods import LossFunction, Start


class TrainState(NamedTuple):
    """N runs in training; every leaf has a leading axis of N."""

    trainable: Any
    optimizer: optimizer.OptimizerState
    loss: Float[Array, " N"]  # summed since the last report
    tokens: Float[Array, " N"]  # target tokens in that sum
    diverged: Int[Array, " N"]  # the step, from 1, at which a run diverged and stopped; or 0


_BLOCK = 6  # runs that pass together on a CPU, at most

Step = Callable[..., TrainState]  # (state, frozen, batches, keys, step number) -> state


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


def make_step(
    loss_function: LossFunction,
    loss_normalizing_factor: float = 1.0,
    examples_at_a_time: int = 0,
) -> Step:
    """The function (state, frozen, batches, keys, step number) -> state, not yet compiled.

    `batches` hold [N, B, ...]; `keys` [N] are the runs' keys. An example's dropout key comes from
    its run's key, the step and its place in the batch. The optimiser is inside the `vmap`:
    Adafactor's factoring and clipping see a run's arrays, never the stack. Where
    `examples_at_a_time` is less than B, the gradients of the parts are summed: the update is the
    same but for rounding.

    A run whose loss or update is not finite has diverged: it stays as it was before that step.
    """

    def normalized(trainable: Any, frozen: Any, batch: Batch, keys: Array) -> Any:
        loss, tokens = loss_function(trainable, frozen, batch, keys)
        return loss / loss_normalizing_factor, (loss, tokens)

    def gradients(trainable: Any, frozen: Any, batch: Batch, key: PRNGKeyArray) -> Any:
        size = len(batch.inputs)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(size))
        parts = -(-size // examples_at_a_time) if examples_at_a_time else 1
        if parts == 1:
            return jax.grad(normalized, has_aux=True)(trainable, frozen, batch, keys)
        if size % parts:
            raise ConfigError(
                f"`hardware` asks for {examples_at_a_time} examples at a time, but a batch of "
                f"{size} cannot be cut into {parts} equal parts."
            )

        def add(total: Any, part: tuple[Batch, Array]) -> tuple[Any, None]:
            gradient = jax.grad(normalized, has_aux=True)(trainable, frozen, *part)
            return jax.tree.map(jnp.add, total, gradient), None

        def cut(rows: Array) -> Array:  # each part has examples of every device
            return rows.reshape(size // parts, parts, *rows.shape[1:]).swapaxes(0, 1)

        zeros = jax.tree.map(jnp.zeros_like, trainable), (jnp.zeros(()), jnp.zeros(()))
        return jax.lax.scan(add, zeros, jax.tree.map(cut, (batch, keys)))[0]

    def run_step(
        state: TrainState, frozen: Any, batch: Batch, key: PRNGKeyArray, number: Array
    ) -> TrainState:
        key = jax.random.fold_in(key, number)
        gradient, (loss, tokens) = gradients(state.trainable, frozen, batch, key)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.trainable)
        trainable = optax.apply_updates(state.trainable, updates)
        sums = state.loss + loss, state.tokens + tokens
        updated = TrainState(trainable, optimizer_state, *sums, state.diverged)
        going = state.diverged == 0
        stopped = state._replace(diverged=jnp.where(going, number + 1, state.diverged))
        choose = functools.partial(
            jax.lax.select, going & _all_finite((loss, trainable, optimizer_state))
        )
        return jax.tree.map(choose, updated, stopped)

    def step(state: TrainState, frozen: Any, batch: Batch, keys: Array, number: Array) -> Any:
        block = _block(len(keys))
        if block == len(keys):
            return jax.vmap(run_step, (0, None, 0, 0, None))(state, frozen, batch, keys, number)

        def map_run(run: tuple[TrainState, Batch, PRNGKeyArray]) -> TrainState:
            run_state, rows, key = run
            return run_step(run_state, frozen, rows, key, number)

        return jax.lax.map(map_run, (state, batch, keys), batch_size=block)

    return step


def _all_finite(tree: Any) -> Bool[Array, ""]:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))


def _block(runs: int) -> int:
    """How many runs pass at a time: all, on a CPU the largest divisor of `runs` up to six."""
    if jax.default_backend() != "cpu":
        return runs
    return max(divisor for divisor in range(1, _BLOCK + 1) if runs % divisor == 0)


class CompiledStep:
    """A step compiled once for each shape of its batches, before it first runs with that shape.

    `seconds` is the time that compiling took so far.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._programs: dict[Any, Step] = {}
        self.seconds = 0.0

    def __call__(
        self, state: TrainState, frozen: Any, batch: Batch, keys: Array, number: np.int32
    ) -> TrainState:
        """Takes the step; `state` is donated."""
        arguments = (state, frozen, batch, keys, number)
        shapes = tuple(leaf.shape for leaf in batch)
        if shapes not in self._programs:
            started = time.perf_counter()
            shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
            jitted = jax.jit(self._step, donate_argnums=0, out_shardings=shardings)
            self._programs[shapes] = jitted.lower(*arguments).compile()
            self.seconds += time.perf_counter() - started
        return self._programs[shapes](*arguments)
