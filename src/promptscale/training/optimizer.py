"""Adafactor as T5X runs it, on optax.

optax's terms equal T5X's one by one (tests/parity): decay 1 - (step + 1)^-0.8, factoring from 128
in both dimensions, update clipped to RMS 1 per array, weight decay not scaled by the learning
rate. T5X restores the optimiser's step with the checkpoint, so its second moments start
with the slow mixing of step 1,100,000, which keeps the clip active and pins the size of the
updates; `step_offset` carries that step.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util
from jaxtyping import Array, Float, Int

from promptscale.config.schema import Optimizer
from promptscale.errors import CheckpointError


def learning_rate(settings: Optimizer, step_offset: int) -> optax.Schedule:
    """The schedule by this run's own step (0-based); rsqrt counts from the restored step.

    `rsqrt` is T5's pre-training schedule: constant for `warmup_steps`, then falling with the
    inverse square root of the step, 0.01 * sqrt(10,000 / step) with T5's own settings.
    """

    def schedule(step: Int[Array, ""]) -> Float[Array, ""]:
        if settings.schedule == "constant":
            return jnp.float32(settings.learning_rate)
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
