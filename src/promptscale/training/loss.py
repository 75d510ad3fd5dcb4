"""T5X's loss: token cross-entropy with z-loss, summed over the tokens of each row."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def cross_entropy(
    logits: Float[Array, "R T V"], targets: Int[Array, "R T"], z_loss: float
) -> tuple[Float[Array, " R"], Float[Array, " R"]]:
    """Sum over target tokens (id > 0) of cross-entropy plus `z_loss` * log(Z)^2, and their number.

    T5X sums and does not divide (`loss_normalizing_factor` None; t5x/losses.py).
    """
    log_z = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    weights = (targets > 0).astype(logits.dtype)
    loss = log_z - chosen + z_loss * jnp.square(log_z)
    return jnp.sum(loss * weights, axis=1), jnp.sum(weights, axis=1)
