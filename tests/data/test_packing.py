"""Packed batches: T5X's choice of examples, and the gradient of truly packed rows."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptscale.config.sequences import examples_per_row
from promptscale.data.batches import epoch_order, pad
from promptscale.data.microbatches import Rows
from promptscale.data.packing import PackedBatches
from promptscale.model import T5, attention, network
from promptscale.training.loss import cross_entropy
from promptscale.training.methods import ModelTuning, loss_function
from promptscale.training.step import Sums, accumulate
from tests import tiny

ROW = (12, 6)  # tokens of inputs and of targets


def packed_rows(inputs, targets, examples, row=ROW) -> list[list[int]]:
    """The examples of each row, filled example by example as T5X fills them."""
    rows: list[list[int]] = []
    free = (0, 0)
    for example in examples:
        if inputs[example] > free[0] or targets[example] > free[1]:
            rows.append([])
            free = row
        rows[-1].append(example)
        free = free[0] - inputs[example], free[1] - targets[example]
    return rows


def of_lengths(inputs, targets, seed=0, rows=3) -> PackedBatches:
    return PackedBatches(
        seed, np.array(inputs), np.array(targets), rows=rows,
        inputs_length=ROW[0], targets_length=ROW[1],
    )  # fmt: skip


@given(
    lengths=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 6)), min_size=1, max_size=30),
    rows=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_a_step_has_the_examples_of_so_many_packed_rows(lengths, rows, seed) -> None:
    """Data of a few short examples too, of which a row holds several epochs."""
    inputs, targets = zip(*lengths, strict=True)
    epochs = [epoch_order(seed, epoch, len(inputs)).tolist() for epoch in range(150)]
    expected = packed_rows(inputs, targets, [example for epoch in epochs for example in epoch])
    batches = of_lengths(inputs, targets, seed, rows)
    for step in range(min(4, len(expected) // rows - 1)):
        step_rows = expected[step * rows : (step + 1) * rows]
        assert batches.indices(step).tolist() == list(itertools.chain.from_iterable(step_rows))


def test_a_run_that_resumes_has_the_same_batches():
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 12, 40), draw.integers(1, 6, 40)
    straight, resumed = of_lengths(*lengths), of_lengths(*lengths)
    batches = [straight.indices(step).tolist() for step in range(9)]
    assert [resumed.indices(step).tolist() for step in (7, 8, 2)] == [
        batches[step] for step in (7, 8, 2)
    ]


@pytest.mark.parametrize(("inputs", "targets"), [((3, 5, 9, 12), 2), ((2, 2, 3), 3)])
def test_the_plan_counts_the_examples_that_fit_into_rows(inputs, targets):
    """In the second case the targets fill a row first."""
    draw = np.random.default_rng(1)
    lengths = draw.choice(inputs, 4_000), np.full(4_000, targets)
    parts = tuple(map(float, inputs))
    mean = np.mean([len(of_lengths(*lengths, rows=64).indices(step)) / 64 for step in range(8)])
    expected = examples_per_row(((1.0, parts, float(targets)),), *ROW)
    assert expected == pytest.approx(mean, rel=0.05)


def test_the_gradient_is_that_of_truly_packed_rows(monkeypatch):
    model = T5(tiny.architecture())
    tokens = jnp.ones((1, 2), jnp.int32)
    params = jax.jit(model.init)(jax.random.key(0), tokens, tokens)["params"]
    draw = np.random.default_rng(0)
    lengths = draw.integers(2, 8, 20), draw.integers(1, 4, 20)
    sources, goals = ([draw.integers(3, 99, n - 1) for n in side] for side in lengths)
    chosen = of_lengths(*lengths).indices(1).tolist()
    rows = packed_rows(*lengths, chosen)
    assert max(map(len, rows)) > 1

    def laid_out(sequences, length):
        """The ids of the packed rows, and the number of each token's example from 1."""
        ids, segments = np.zeros((2, len(rows), length), np.int32)
        for number, row in enumerate(rows):
            laid = np.concatenate([[*sequences[example], 1] for example in row])
            sizes = [len(sequences[example]) + 1 for example in row]
            ids[number, : len(laid)] = laid
            segments[number, : len(laid)] = np.repeat(np.arange(len(row)) + 1, sizes)
        return ids, segments

    (inputs, input_segments), (targets, target_segments) = (
        laid_out(sources, ROW[0]), laid_out(goals, ROW[1])
    )  # fmt: skip

    def mask(queries, keys):
        return jnp.asarray((queries[:, :, None] == keys[:, None, :]) & (keys > 0)[:, None, :])

    first = np.diff(target_segments, axis=1, prepend=0) != 0
    causal = network.Decoder._causal_bias

    def packed_logits(module):
        """The model's logits where each token sees its example alone."""
        encoded = module.encode(module.embed(inputs), mask(input_segments, input_segments))
        shifted = np.where(first, 0, np.pad(targets[:, :-1], ((0, 0), (1, 0))))
        crossed = mask(target_segments, input_segments)
        return module.decoder(module.embed(shifted), encoded, crossed, None)

    def segment_bias(mask, dtype):
        return jnp.where(mask, 0.0, attention.MASKED).astype(dtype)[:, None]

    def packed_loss(params):
        logits = nn.apply(packed_logits, model)({"params": params})
        return jnp.sum(cross_entropy(logits, jnp.asarray(targets), 1e-4)[0])

    with monkeypatch.context() as patched:
        # The masks have an axis of queries, which the model's annotations do not allow.
        patched.setattr(jaxtyping.config, "jaxtyping_disable", True)
        patched.setattr(attention, "mask_bias", segment_bias)
        patched.setattr(
            network.Decoder, "_causal_bias",
            lambda self, length: causal(self, length)
            + segment_bias(mask(target_segments, target_segments), self.dtype),
        )  # fmt: skip
        loss, gradient = jax.value_and_grad(packed_loss)(params)

    size = len(chosen)
    unpacked = Rows(
        pad([sources[example] for example in chosen], ROW[0]),
        pad([goals[example] for example in chosen], ROW[1]),
        np.zeros(size, np.int32),
        np.arange(size, dtype=np.int32),
    )
    trainable = jax.tree.map(lambda leaf: leaf[None], params)
    zeros = Sums(jax.tree.map(jnp.zeros_like, trainable), jnp.zeros(1), jnp.zeros(1))
    sums = accumulate(
        loss_function(model, 1e-4, ModelTuning.for_inference), ModelTuning.shared, 1.0,
        zeros, trainable, {}, jax.tree.map(jnp.asarray, unpacked),
        jnp.stack([jax.random.key(0)]), jnp.int32(0),
    )  # fmt: skip
    np.testing.assert_allclose(sums.loss[0], loss, rtol=1e-5)
    jax.tree.map(
        lambda ours, packed: np.testing.assert_allclose(ours[0], packed, rtol=1e-4, atol=1e-4),
        sums.gradient,
        gradient,
    )
