"""Attention between given queries, keys and values, without its projections.

Letters: B batch, H heads, T queries, S keys, K head_dim.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def attend(
    queries: Float[Array, "B H T K"],
    keys: Float[Array, "B H S K"],
    values: Float[Array, "B H S K"],
    *biases: Float[Array, "_ _ _ S"],
) -> Float[Array, "B H T K"]:
    """Returns softmax(queries keys^T + biases) values, in the dtype of the arguments.

    On a CPU, the sum of the softmax divides the result [T, K], and not the weights [T, S]. The
    result is the same, and the backward pass needs neither the divided weights nor a sum over
    [T, S] (FlashAttention, Dao et al. 2022, section 3.1). The largest logit of a query cancels out,
    so it has no gradient. XLA's GPU compiler fuses `jax.nn.softmax` into fewer kernels.

    The heads' axis precedes the positions' axis, so that all products are plain batched matrix
    products. In the other order XLA's CPU backend takes four times as long.
    """
    logits = jnp.einsum("bhtk,bhsk->bhts", queries, keys)
    for bias in biases:
        logits = logits + bias
    if jax.default_backend() != "cpu":
        return jnp.einsum("bhts,bhsk->bhtk", jax.nn.softmax(logits), values)
    largest = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    weights = jnp.exp(logits - largest)
    return jnp.einsum("bhts,bhsk->bhtk", weights, values) / jnp.sum(weights, -1, keepdims=True)
