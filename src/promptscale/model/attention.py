"""Attention between given queries, keys and values, without its projections.

Letters: B batch, H heads, T queries, S keys, K head_dim.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

MASKED = -1e10


def attend(
    queries: Float[Array, "B H T K"],
    keys: Float[Array, "B H S K"],
    values: Float[Array, "B H S K"],
    bias: Float[Array, "1 H T S"] | None = None,
    mask: Bool[Array, "B S"] | None = None,
) -> Float[Array, "B H T K"]:
    """Returns softmax(queries keys^T + bias) values, in the dtype of the arguments.

    The keys where `mask` is false are hidden. The visible keys of an example are its first.

    On a CPU, the sum of the softmax divides the result [T, K], and not the weights [T, S]. The
    result is the same, and the backward pass needs neither the divided weights nor a sum over
    [T, S] (FlashAttention, Dao et al. 2022, section 3.1). The largest logit of a query cancels out,
    so it has no gradient. On a GPU, cuDNN's fused attention keeps the weights [T, S] out of memory,
    where it can (`_cudnn`); elsewhere XLA fuses `jax.nn.softmax` into fewer kernels.

    The heads' axis precedes the positions' axis, so that all products are plain batched matrix
    products. In the other order XLA's CPU backend takes four times as long.
    """
    if _cudnn(queries, keys):
        return _fused(queries, keys, values, bias, mask)
    logits = jnp.einsum("bhtk,bhsk->bhts", queries, keys)
    if bias is not None:
        logits = logits + bias
    if mask is not None:
        logits = logits + mask_bias(mask, logits.dtype)
    if jax.default_backend() != "cpu":
        return jnp.einsum("bhts,bhsk->bhtk", jax.nn.softmax(logits), values)
    largest = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    weights = jnp.exp(logits - largest)
    return jnp.einsum("bhts,bhsk->bhtk", weights, values) / jnp.sum(weights, -1, keepdims=True)


def mask_bias(mask: Bool[Array, "B S"], dtype: jnp.dtype) -> Float[Array, "B 1 1 S"]:
    """An additive attention bias that hides the keys where `mask` is false."""
    return jnp.where(mask, 0.0, MASKED).astype(dtype)[:, None, None, :]


def _cudnn(queries: Array, keys: Array) -> bool:
    """Whether cuDNN computes this attention.

    It needs a GPU of NVIDIA's Ampere or later, bfloat16, a head_dim that is a multiple of 8 and at
    most 128, and even numbers of positions. So XLA computes decoding, which has a single query.
    """
    if jax.default_backend() != "gpu" or queries.dtype != jnp.bfloat16:
        return False
    # A program that is compiled on a machine without a GPU (benchmarks.memory) is for a newer GPU.
    capability = getattr(jax.devices()[0], "compute_capability", "8.0")
    if not capability[:1].isdigit():  # a GPU of AMD
        return False
    positions, head_dim = (queries.shape[2], keys.shape[2]), queries.shape[3]
    fits = head_dim % 8 == 0 and head_dim <= 128 and not any(number % 2 for number in positions)
    return float(capability) >= 8.0 and fits


def _fused(
    queries: Array, keys: Array, values: Array, bias: Array | None, mask: Array | None
) -> Array:
    """`attend` by cuDNN, whose arrays have the axis of positions before that of heads."""
    lengths = None
    if mask is not None:  # a row without an example sees a key, so that its result is finite
        lengths = jnp.maximum(jnp.sum(mask, axis=-1, dtype=jnp.int32), 1)
    output = jax.nn.dot_product_attention(
        queries.swapaxes(1, 2), keys.swapaxes(1, 2), values.swapaxes(1, 2), bias,
        key_value_seq_lengths=lengths, scale=1.0, implementation="cudnn",
    )  # fmt: skip
    return output.swapaxes(1, 2)
