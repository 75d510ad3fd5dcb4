"""`attend` equals the formula of attention, and so do its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from promptscale.model.attention import attend
from promptscale.model.layers import MASKED

BATCH, HEADS, QUERIES, KEYS, HEAD_DIM = 3, 2, 5, 7, 4


def plain(queries, keys, values, *biases):
    """The formula as it is written, with jax.nn's softmax."""
    logits = jnp.einsum("bhtk,bhsk->bhts", queries, keys) + sum(biases)
    return jnp.einsum("bhts,bhsk->bhtk", jax.nn.softmax(logits), values)


def arguments(scale: float) -> tuple[jax.Array, ...]:
    """Random queries, keys, values and a bias of each head; logits are of the size `scale`."""
    draws = jax.random.split(jax.random.key(0), 4)
    queries = scale * jax.random.normal(draws[0], (BATCH, HEADS, QUERIES, HEAD_DIM))
    keys, values = (jax.random.normal(draw, (BATCH, HEADS, KEYS, HEAD_DIM)) for draw in draws[1:3])
    return queries, keys, values, jax.random.normal(draws[3], (1, HEADS, QUERIES, KEYS))


def mask(hidden: int) -> jax.Array:
    """A bias that hides the last keys of the first example."""
    return jnp.zeros((BATCH, 1, 1, KEYS)).at[0, :, :, KEYS - hidden :].set(MASKED)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("scale", [1.0, 300.0])  # e^300 is beyond float32
@pytest.mark.parametrize("hidden", [0, 3, KEYS])
def test_values_and_gradients_are_those_of_the_formula(monkeypatch, backend, scale, hidden):
    """Also where logits are large and where a query sees no key at all."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    inputs, results = arguments(scale), []
    with jax.numpy_rank_promotion("allow"):
        for function in (attend, plain):
            output, pull_back = jax.vjp(lambda *x, f=function: f(*x, mask(hidden)), *inputs)
            weights = jnp.cos(jnp.arange(output.size)).reshape(output.shape)
            results.append((output, *pull_back(weights)))
    # A gradient is a sum of terms of this size, which can cancel out.
    size = max(float(jnp.abs(array).max()) for array in inputs)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * size)


def test_bfloat16_is_no_less_exact_than_the_formula():
    exact = plain(*arguments(1.0))
    rounded = [x.astype(jnp.bfloat16) for x in arguments(1.0)]
    errors = [jnp.abs(f(*rounded).astype(jnp.float32) - exact).max() for f in (attend, plain)]
    assert attend(*rounded).dtype == jnp.bfloat16
    assert errors[0] <= 1.5 * errors[1]
