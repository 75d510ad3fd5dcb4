"""`attend` equals the formula of attention, and so do its gradients."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from promptscale.model.attention import MASKED, attend

BATCH, HEADS, QUERIES, KEYS, HEAD_DIM = 3, 2, 5, 7, 8


def plain(queries, keys, values, bias, mask=None):
    """The formula as it is written, with jax.nn's softmax."""
    logits = jnp.einsum("bhtk,bhsk->bhts", queries, keys) + bias
    if mask is not None:
        logits = logits + jnp.where(mask, 0.0, MASKED).astype(logits.dtype)[:, None, None]
    return jnp.einsum("bhts,bhsk->bhtk", jax.nn.softmax(logits), values)


def arguments(scale: float, queries: int = QUERIES, keys: int = KEYS) -> tuple[jax.Array, ...]:
    """Random queries, keys, values and a bias of each head; logits are of the size `scale`."""
    draws = jax.random.split(jax.random.key(0), 4)
    lengths = (queries, keys, keys)
    drawn = [jax.random.normal(draw, (BATCH, HEADS, length, HEAD_DIM))
             for draw, length in zip(draws, lengths, strict=False)]  # fmt: skip
    return scale * drawn[0], *drawn[1:], jax.random.normal(draws[3], (1, HEADS, queries, keys))


def mask(hidden: int, keys: int = KEYS) -> jax.Array:
    """Hides the last keys of the first example."""
    return jnp.ones((BATCH, keys), bool).at[0, keys - hidden :].set(False)


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


@pytest.mark.parametrize("masked", [True, False])
def test_cudnn_gets_what_the_formula_gets(monkeypatch, masked):
    """JAX's own code in the place of cuDNN's, which needs a GPU."""
    calls, reference = [], jax.nn.dot_product_attention

    def attention(*arrays, implementation, **options):
        calls.append(implementation)
        return reference(*arrays, implementation="xla", **options)

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax.nn, "dot_product_attention", attention)
    exact = arguments(1.0, queries=6, keys=8)
    rounded = [array.astype(jnp.bfloat16) for array in exact]
    visible = mask(3, keys=8) if masked else None
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        ours, theirs = attend(*rounded, visible), plain(*exact, visible)
    assert calls == ["cudnn"]
    assert ours.dtype == jnp.bfloat16
    np.testing.assert_allclose(ours.astype(jnp.float32), theirs, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("capability", "dtype", "keys", "head_dim"),
    [
        ("7.5", "bfloat16", 8, 8),
        ("9.0", "float32", 8, 8),
        ("9.0", "bfloat16", 7, 8),
        ("9.0", "bfloat16", 8, 4),
    ],
)
def test_cudnn_leaves_what_it_cannot_compute_to_xla(monkeypatch, capability, dtype, keys, head_dim):
    """An older GPU, float32, odd numbers of positions, and heads of other widths."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(compute_capability=capability)])
    monkeypatch.setattr(jax.nn, "dot_product_attention", None)
    arrays = [array.astype(dtype) for array in arguments(1.0, queries=6, keys=keys)]
    arrays[:3] = [array[..., :head_dim] for array in arrays[:3]]
    with jax.numpy_rank_promotion("allow"):
        assert attend(*arrays).dtype == dtype


def test_bfloat16_is_no_less_exact_than_the_formula():
    exact = plain(*arguments(1.0))
    rounded = [x.astype(jnp.bfloat16) for x in arguments(1.0)]
    errors = [jnp.abs(f(*rounded).astype(jnp.float32) - exact).max() for f in (attend, plain)]
    assert attend(*rounded).dtype == jnp.bfloat16
    assert errors[0] <= 1.5 * errors[1]
