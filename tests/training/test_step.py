"""Batches may change their shape from step to step: padding changes no result."""

import jax
import jax.numpy as jnp
import numpy as np

from promptscale.config.settings import Optimizer
from promptscale.config.sizes import ModelConfig
from promptscale.data.batches import Batch
from promptscale.distributed.mesh import Devices
from promptscale.model import T5
from promptscale.training.loop import Schedule, train
from promptscale.training.methods import PromptTuning, Start, loss_function
from promptscale.training.resume import State
from promptscale.training.step import CompiledStep, initial_state, make_step

MODEL = T5(ModelConfig(
    d_model=16, d_ff=32, num_encoder_layers=1, num_decoder_layers=1, num_heads=2, head_dim=8,
    vocab_size=64,
))  # fmt: skip
DEVICES = Devices()


def batch(step: int, padding: int = 0) -> Batch:
    """Two runs of three examples, with `padding` more columns."""
    draw = np.random.default_rng(step)
    inputs, targets = (draw.integers(2, 64, (2, 3, length), np.int32) for length in (6, 3))
    return Batch(*(np.pad(ids, ((0, 0), (0, 0), (0, padding))) for ids in (inputs, targets)))


def first_state():
    prompts = jax.random.normal(jax.random.key(1), (2, 5, 16))
    return initial_state(Start(prompts, {}, 0), [Optimizer(learning_rate=0.3)] * 2, DEVICES)


def test_batches_of_several_shapes_train_as_batches_of_one_shape(tmp_path):
    tokens = jnp.ones((1, 2), jnp.int32)
    params = MODEL.init(jax.random.key(0), tokens, tokens)["params"]
    step = make_step(loss_function(MODEL, 1e-4, PromptTuning.for_inference))
    keys = jax.vmap(jax.random.key)(jnp.arange(2))

    def trained(name, batches):
        state = State(str(tmp_path / name), "job")
        return train(step, first_state(), params, batches, keys, Schedule(6, 6, 6), state)

    same = trained("same", batch)
    changing = trained("changing", lambda number: batch(number, padding=number % 3))
    np.testing.assert_allclose(changing.trainable, same.trainable, rtol=1e-4, atol=1e-4)


def test_a_step_is_compiled_once_for_each_shape():
    traced = []

    def step(state, frozen, batches, keys, number):
        traced.append(batches.inputs.shape)
        return state

    compiled, state = CompiledStep(step), first_state()
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    for number in range(6):
        state = compiled(state, {}, batch(number, padding=number % 2), keys, np.int32(number))
    assert traced == [(2, 3, 6), (2, 3, 7)] and compiled.seconds > 0
