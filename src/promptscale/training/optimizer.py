"""Adafactor as T5X runs it, on optax; every hyperparameter is a number in its state.

Runs that are trained together may so differ in any of them, and a single run, a batch of runs and
a hyperparameter search use the same code.

optax's terms equal T5X's term by term (tests/parity): decay 1 - (step + 1)^-0.8, factoring from 128
in both dimensions, update clipped to RMS 1 per array, weight decay not scaled by the learning
rate. T5X restores the optimiser's step with the checkpoint, so its second moments start
with the slow mixing of step 1,100,000, which keeps the clip active and pins the size of the
updates; `step_offset` carries that step.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util
from jaxtyping import Array, Bool, Float, Int

from promptscale.config.settings import Optimizer
from promptscale.errors import CheckpointError

_MOMENTS = ("v", "v_row", "v_col")


class Hyperparameters(NamedTuple):
    """The settings of Adafactor as arrays: scalars for a run, [N] for a batch of runs."""

    learning_rate: Float[Array, "*N"]
    rsqrt: Bool[Array, "*N"]  # T5's pre-training schedule; otherwise the constant one
    warmup_steps: Float[Array, "*N"]
    decay_factor: Float[Array, "*N"]  # 1: no decay
    steps_per_decay: Int[Array, "*N"]
    parameter_scaling: Bool[Array, "*N"]
    weight_decay: Float[Array, "*N"]
    moment_decay: Float[Array, "*N"]  # the exponent in 1 - step^-exponent
    step_offset: Int[Array, "*N"]  # steps that the checkpoint's optimiser has taken


class OptimizerState(NamedTuple):
    """Adafactor's hyperparameters, and the state of optax's transformations for each array.

    `arrays` has the structure of what is trained, with optax's state in the place of each array:
    Adafactor treats every array by itself, so each can be updated by a small program of its own.
    """

    hyperparameters: Hyperparameters
    arrays: Any


def hyperparameters(settings: Sequence[Optimizer], checkpoint_step: int) -> Hyperparameters:
    """The settings of N runs as arrays [N]; `checkpoint_step` is the restored optimiser's step."""
    offsets = [
        checkpoint_step if run.step_offset == "checkpoint" else run.step_offset for run in settings
    ]
    return Hyperparameters(
        learning_rate=np.array([run.learning_rate for run in settings], np.float32),
        rsqrt=np.array([run.schedule == "rsqrt" for run in settings]),
        warmup_steps=np.array([run.warmup_steps for run in settings], np.float32),
        decay_factor=np.array([run.decay_factor or 1.0 for run in settings], np.float32),
        steps_per_decay=np.array([run.steps_per_decay for run in settings], np.int32),
        parameter_scaling=np.array([run.parameter_scaling for run in settings]),
        weight_decay=np.array([run.weight_decay for run in settings], np.float32),
        moment_decay=np.array([run.decay_rate for run in settings], np.float32),
        step_offset=np.array(offsets, np.int32),
    )


def init(trainable: optax.Params, settings: Hyperparameters) -> OptimizerState:
    """The state of a run before its first step."""
    transformations = _transformations(settings, jnp.float32(0))
    return OptimizerState(settings, jax.tree.map(transformations.init, trainable))


def update(
    array: Array, state: optax.OptState, gradient: Array, settings: Hyperparameters
) -> tuple[Array, optax.OptState]:
    """An array of a run, and the optimiser's state of that array, after the next step."""
    rate = learning_rate(settings, optax.tree.get(state, "count"))
    change, state = _transformations(settings, rate).update(gradient, state, array)
    return optax.apply_updates(array, change), state


def learning_rate(settings: Hyperparameters, step: Int[Array, ""]) -> Float[Array, ""]:
    """The rate of a run's step (0-based).

    The constant schedule rises linearly from 0 for `warmup_steps` and is multiplied by
    `decay_factor` every `steps_per_decay` steps (Table 6). `rsqrt` is T5's pre-training schedule:
    constant for `warmup_steps`, then falling with the inverse square root of the step, counted
    from the checkpoint's: 0.01 * sqrt(10,000 / step) with T5's settings.
    """
    warmup, taken = settings.warmup_steps, step.astype(jnp.float32)
    # Without a warm-up the first step, too, has the full rate.
    warm = jnp.where(warmup > 0, jnp.minimum(1.0, taken / jnp.maximum(warmup, 1.0)), 1.0)
    decays = (step // settings.steps_per_decay).astype(jnp.float32)
    constant = warm * settings.decay_factor**decays
    start = jnp.maximum(warmup, 1.0)
    absolute = (step + settings.step_offset).astype(jnp.float32)
    falling = jnp.sqrt(start / jnp.maximum(absolute, start))
    return settings.learning_rate * jnp.where(settings.rsqrt, falling, constant)


def _transformations(
    settings: Hyperparameters, rate: Float[Array, ""]
) -> optax.GradientTransformation:
    return optax.chain(
        optax.scale_by_factored_rms(
            min_dim_size_to_factor=128,
            decay_rate=settings.moment_decay,
            step_offset=-settings.step_offset,
            epsilon=1e-30,
        ),
        optax.clip_by_block_rms(1.0),
        optax.scale(rate),
        _scale_by_parameters(settings.parameter_scaling),
        optax.add_decayed_weights(settings.weight_decay),
        optax.scale(-1.0),
    )


def _scale_by_parameters(wanted: Bool[Array, ""]) -> optax.GradientTransformation:
    """Multiplies an array's update by the RMS of its parameters (at least 1e-3) where `wanted`."""

    def scale(update: Array, parameter: Array) -> Array:
        rms = optax.safe_root_mean_squares(parameter, 1e-3)
        return update * jnp.where(wanted, rms, jnp.ones_like(rms))

    return optax.stateless_with_tree_map(scale)


def restore_accumulators(
    state: OptimizerState, saved: Mapping[str, Mapping[str, np.ndarray]], runs: int
) -> OptimizerState:
    """The optimiser state of `runs` models with a T5X checkpoint's second moments in it.

    Args:
      state: a fresh state whose leaves have a leading axis of `runs`.
      saved: accumulators by parameter name: `v`, `v_row`, `v_col`.
      runs: how many models share the state.

    Raises:
      CheckpointError: the checkpoint has no accumulators for some parameters, or of other shapes.
    """
    fresh = traverse_util.flatten_dict(state.arrays, sep="/")
    for kind in _MOMENTS:
        shapes = {name: optax.tree.get(leaf, kind).shape[1:] for name, leaf in fresh.items()}
        unfit = [
            name
            for name, shape in shapes.items()
            if kind not in saved.get(name, {}) or saved[name][kind].shape != shape
        ]
        if unfit:
            raise CheckpointError(
                f"The checkpoint lacks the Adafactor accumulator {kind!r}, or has it in another "
                f"shape, for {', '.join(unfit)}; set restore_accumulators to false to start anew."
            )
    restored = {
        name: optax.tree.set(
            leaf, **{kind: jnp.stack([saved[name][kind]] * runs) for kind in _MOMENTS}
        )
        for name, leaf in fresh.items()
    }
    return state._replace(arrays=traverse_util.unflatten_dict(restored, sep="/"))


def accumulators(state: OptimizerState) -> dict[str, dict[str, np.ndarray]]:
    """The second moments of a model by parameter name, as a T5X checkpoint keeps them."""
    unused = np.zeros(1, np.float32)  # T5X's first moment, which these settings do without
    return {
        name: {"m": unused, **{kind: np.asarray(optax.tree.get(leaf, kind)) for kind in _MOMENTS}}
        for name, leaf in traverse_util.flatten_dict(state.arrays, sep="/").items()
    }
