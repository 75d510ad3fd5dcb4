"""A step in micro-batches of any shapes and groupings is the step in a single micro-batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from promptscale.config.settings import Optimizer
from promptscale.config.sizes import ModelConfig
from promptscale.data.microbatches import Rows, pad_rows
from promptscale.data.shapes import Shapes
from promptscale.distributed.mesh import Devices
from promptscale.model import T5
from promptscale.training.methods import ModelTuning, PromptTuning, Start, loss_function
from promptscale.training.step import Step, initial_state

MODEL = T5(
    ModelConfig(
        d_model=16, d_ff=32, num_encoder_layers=1, num_decoder_layers=1, num_heads=2, head_dim=8,
        vocab_size=64,
    ),
    dropout_rate=0.1,
)  # fmt: skip
DEVICES = Devices()
RUNS, BATCH = 3, 8
KEYS = jax.vmap(jax.random.key)(jnp.arange(RUNS))


@pytest.fixture(scope="module")
def params():
    tokens = jnp.ones((1, 2), jnp.int32)
    return jax.jit(MODEL.init)(jax.random.key(0), tokens, tokens)["params"]


def sequences(step: int, longest: int) -> list[np.ndarray]:
    """A sequence of every row of all runs; lengths and ids depend on the step."""
    draw = np.random.default_rng([step, longest])
    sizes = draw.integers(1, longest, RUNS * BATCH)
    return [draw.integers(2, 64, size, np.int32) for size in sizes]


def batch(step: int, budget: int, *, shared: bool = True) -> list[Rows]:
    """The micro-batches of a step under a token budget; of each run apart if not `shared`."""
    inputs, targets = sequences(step, 14), sequences(step, 4)
    lengths = [np.array([len(row) + 1 for row in side]) for side in (inputs, targets)]
    run, example = np.divmod(np.arange(RUNS * BATCH, dtype=np.int32), BATCH)
    parts = [np.arange(RUNS * BATCH)] if shared else np.split(np.arange(RUNS * BATCH), RUNS)
    pools = [(lengths[0][part], lengths[1][part]) for part in parts]
    shapes = Shapes.fitting(pools, number=10**5, longest=(14, 4), before=5, budget=budget, launch=2)
    return [
        Rows(
            pad_rows(inputs, pool[cut.rows], cut.inputs_length),
            pad_rows(targets, pool[cut.rows], cut.targets_length),
            run[pool[cut.rows]],
            example[pool[cut.rows]],
        )
        for pool in parts
        for cut in shapes.cut(lengths[0][pool], lengths[1][pool])
    ]


@pytest.mark.parametrize("method", [PromptTuning, ModelTuning])
def test_the_token_budget_changes_no_result(params, method):
    """With dropout, over several steps; model tuning passes each run apart."""
    if method is PromptTuning:
        trainable = jax.random.normal(jax.random.key(1), (RUNS, 5, 16))
    else:
        trainable = jax.tree.map(lambda leaf: jnp.stack([leaf] * RUNS), params)
    outcomes, counts = [], []
    for budget in (60, 10**6):
        step = Step(loss_function(MODEL, 1e-4, method.for_inference), method.shared)
        start = Start(jax.tree.map(jnp.copy, trainable), {}, 1_000_000)
        state = initial_state(start, [Optimizer(learning_rate=0.1)] * RUNS, DEVICES)
        for number in range(2):
            rows = batch(number, budget, shared=method.shared)
            state = step(state, params, rows, KEYS, number)
        outcomes.append(state)
        counts.append(len(rows))
    assert counts[0] > counts[1]
    for state in outcomes[1:]:
        np.testing.assert_allclose(state.loss, outcomes[0].loss, rtol=1e-4)
        np.testing.assert_array_equal(state.tokens, outcomes[0].tokens)
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-3),
            state.trainable,
            outcomes[0].trainable,
        )


def test_a_step_is_compiled_once_for_each_shape(params):
    step = Step(loss_function(MODEL, 1e-4, PromptTuning.for_inference), shared=True)
    start = Start(jnp.zeros((RUNS, 5, 16)), {}, 0)
    state = initial_state(start, [Optimizer(learning_rate=0.1)] * RUNS, DEVICES)
    compiled, shapes = [], set()
    for number in (0, 1, 0, 1):
        rows = batch(number, 200)
        shapes |= {(part.inputs.shape, part.targets.shape) for part in rows}
        state = step(state, params, rows, KEYS, number)
        compiled.append(step.seconds)
    assert 0 < compiled[1] == compiled[2] == compiled[3] and len(shapes) > 2
