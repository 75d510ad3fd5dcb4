"""Adafactor as T5X runs it, on optax.

optax's terms equal T5X's one by one (tests/parity): decay 1 - (step + 1)^-0.8, factoring from 128
in both dimensions, update clipped to RMS 1 per array, weight decay not scaled by the learning
rate. T5X restores the optimiser's step with the checkpoint, so its second moments start
with the slow mixing of step 1,100,000, which keeps the clip active and pins the size of the
updates; `step_offset` carries that step.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util
from jaxtyping import Array, Bool, Float, Int

from promptscale.config.settings import Optimizer
from promptscale.errors import CheckpointError


def learning_rate(settings: Optimizer, step_offset: int) -> optax.Schedule:
    """The schedule by this run's own step (0-based); rsqrt counts from the restored step.

    `rsqrt` is T5's pre-training schedule: constant for `warmup_steps`, then falling with the
    inverse square root of the step, 0.01 * sqrt(10,000 / step) with T5's own settings. `constant`
    may rise linearly from 0 at first and be multiplied by a factor every so many steps (Table 6).
    """

    def schedule(step: Int[Array, ""]) -> Float[Array, ""]:
        if settings.schedule == "constant":
            rate = jnp.float32(settings.learning_rate)
            if settings.warmup_steps:
                rate *= jnp.minimum(1.0, step.astype(jnp.float32) / settings.warmup_steps)
            if settings.decay_factor is not None:
                decays = step // settings.steps_per_decay
                rate *= settings.decay_factor ** decays.astype(jnp.float32)
            return rate
        absolute = (step + step_offset).astype(jnp.float32)
        start = float(max(settings.warmup_steps, 1))
        return settings.learning_rate * jnp.sqrt(start / jnp.maximum(absolute, start))

    return schedule


def adafactor(settings: Optimizer, step_offset: int) -> optax.GradientTransformation:
    """T5X's Adafactor continued at `step_offset` optimiser steps."""
    return optax.adafactor(
        learning_rate=learning_rate(settings, step_offset),
        min_dim_size_to_factor=128,
        decay_rate=settings.decay_rate,
        decay_offset=-step_offset,
        multiply_by_parameter_scale=settings.parameter_scaling,
        clipping_threshold=1.0,
        momentum=None,
        weight_decay_rate=settings.weight_decay or None,
        eps=1e-30,
    )


class Trials(NamedTuple):
    """Settings of the optimiser as numbers, so that the runs of one job may differ in them."""

    count: Int[Array, "*N"]
    learning_rate: Float[Array, "*N"]
    parameter_scaling: Bool[Array, "*N"]
    warmup: Float[Array, "*N"]  # steps
    decay_factor: Float[Array, "*N"]
    steps_per_decay: Int[Array, "*N"]


def trial_adafactor(settings: Optimizer, step_offset: int) -> optax.GradientTransformation:
    """`adafactor` whose rate and parameter scaling are numbers in its state (`set_trials`)."""

    def init(_params: optax.Params) -> Trials:
        zero, one = jnp.float32(0), jnp.float32(1)
        return Trials(jnp.int32(0), zero, jnp.bool(False), one, one, jnp.int32(1))

    def update(
        updates: optax.Updates, state: Trials, params: optax.Params | None = None
    ) -> tuple[optax.Updates, Trials]:
        step = state.count.astype(jnp.float32)
        # As in `learning_rate`; without a warm-up there is no step of rate 0 either.
        warm = jnp.where(state.warmup > 0, step / jnp.maximum(state.warmup, 1.0), 1.0)
        decays = (state.count // state.steps_per_decay).astype(jnp.float32)
        rate = state.learning_rate * jnp.minimum(1.0, warm) * state.decay_factor**decays
        scaled, _ = _PARAMETER_SCALE.update(updates, optax.EmptyState(), params)
        updates = jax.tree.map(
            lambda plain, own: rate * jnp.where(state.parameter_scaling, own, plain),
            updates,
            scaled,
        )
        return updates, state._replace(count=state.count + 1)

    return optax.chain(
        optax.scale_by_factored_rms(
            min_dim_size_to_factor=128,
            decay_rate=settings.decay_rate,
            step_offset=-step_offset,
            epsilon=1e-30,
        ),
        optax.clip_by_block_rms(1.0),
        optax.GradientTransformation(init, update),
        optax.add_decayed_weights(settings.weight_decay),
        optax.scale(-1.0),
    )


_PARAMETER_SCALE = optax.scale_by_param_block_rms()


def set_trials(state: optax.OptState, trials: Sequence[Optimizer]) -> optax.OptState:
    """The state of `trial_adafactor` for several runs, with each run's settings in it."""
    return optax.tree.set(
        state,
        learning_rate=jnp.array([one.learning_rate for one in trials], jnp.float32),
        parameter_scaling=jnp.array([one.parameter_scaling for one in trials]),
        warmup=jnp.array([one.warmup_steps for one in trials], jnp.float32),
        decay_factor=jnp.array([one.decay_factor or 1.0 for one in trials], jnp.float32),
        steps_per_decay=jnp.array([one.steps_per_decay for one in trials], jnp.int32),
    )


def restore_accumulators(
    state: optax.OptState, saved: Mapping[str, Mapping[str, np.ndarray]], runs: int
) -> optax.OptState:
    """The optimiser state of `runs` models with a T5X checkpoint's second moments in it.

    Args:
      state: a fresh state whose leaves have a leading axis of `runs`.
      saved: accumulators by parameter name: `v`, `v_row`, `v_col`.
      runs: how many models share the state.

    Raises:
      CheckpointError: the checkpoint has no accumulators for some parameters, or of other shapes.
    """
    for kind in ("v", "v_row", "v_col"):
        fresh = optax.tree.get(state, kind)
        flat = traverse_util.flatten_dict(fresh, sep="/")
        unfit = [
            name
            for name, leaf in flat.items()
            if kind not in saved.get(name, {}) or saved[name][kind].shape != leaf.shape[1:]
        ]
        if unfit:
            raise CheckpointError(
                f"The checkpoint lacks the Adafactor accumulator {kind!r}, or has it in another "
                f"shape, for {', '.join(unfit)}; set restore_accumulators to false to start anew."
            )
        restored = {name: jnp.stack([saved[name][kind]] * runs) for name in flat}
        state = optax.tree.set(state, **{kind: traverse_util.unflatten_dict(restored, sep="/")})
    return state


def accumulators(state: optax.OptState) -> dict[str, dict[str, np.ndarray]]:
    """The second moments of one model by parameter name, as a T5X checkpoint keeps them."""
    kinds = {
        kind: traverse_util.flatten_dict(optax.tree.get(state, kind), sep="/")
        for kind in ("v", "v_row", "v_col")
    }
    unused = np.zeros(1, np.float32)  # T5X's first moment, which these settings do without
    return {
        name: {"m": unused, **{kind: np.asarray(flat[name]) for kind, flat in kinds.items()}}
        for name in kinds["v"]
    }
