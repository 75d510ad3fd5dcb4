"""The parts of a T5 1.1 layer, with T5X's parameter names.

Sources: t5x/examples/t5/layers.py and flaxformer's T5 1.1 configuration. Linear maps have no
biases, attention logits are not scaled, and RMS norm computes the mean square in float32.
Letters: B batch, S source (keys) positions, T target (queries) positions, D d_model, H heads,
K head_dim, F d_ff.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from promptscale.config.sizes import ModelConfig
from promptscale.model.attention import attend
from promptscale.model.dropout import Dropout, Masks

_KERNEL_INIT = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


def relative_position_bucket(
    relative_position: Int[Array, "T S"], config: ModelConfig, bidirectional: bool
) -> Int[Array, "T S"]:
    """The bucket of each relative position (key position minus query position).

    Half of the buckets hold single distances. The other half grow logarithmically up to the maximum
    distance; larger distances share the last bucket. Bidirectional attention gives each direction
    half of the buckets; causal attention maps the future to bucket 0.
    """
    num_buckets = config.relative_attention_num_buckets
    max_distance = config.relative_attention_max_distance
    distance = -relative_position
    bucket = jnp.zeros_like(distance)
    if bidirectional:
        num_buckets //= 2
        bucket += (distance < 0).astype(jnp.int32) * num_buckets
        distance = jnp.abs(distance)
    else:
        distance = jnp.maximum(distance, 0)
    exact = num_buckets // 2
    ratio = distance.astype(jnp.float32) / exact
    # The epsilon avoids log(0) in the branch that `where` discards.
    grown = jnp.log(ratio + jnp.finfo(jnp.float32).eps) / jnp.log(max_distance / exact)
    logarithmic = exact + (grown * (num_buckets - exact)).astype(jnp.int32)
    logarithmic = jnp.minimum(logarithmic, num_buckets - 1)
    return bucket + jnp.where(distance < exact, distance, logarithmic)


def dense(features: int, dtype: jnp.dtype, init=_KERNEL_INIT, name: str | None = None) -> nn.Dense:
    """A linear map without bias; its parameter is `kernel` [in, out]."""
    return nn.Dense(features, use_bias=False, dtype=dtype, kernel_init=init, name=name)


class Part(nn.Module):
    """The model, or a part of it that has dropout; parameters are cast to `dtype` when used."""

    config: ModelConfig
    dropout_rate: float = 0.0  # of every dropout, used where there are masks
    dtype: jnp.dtype = jnp.dtype(jnp.float32)  # of the activations


class RMSNorm(nn.Module):
    """Divides by the root mean square over the last axis and multiplies by a learned scale.

    The mean square is computed in float32; the result has the dtype of the input.
    """

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """Normalises the last axis."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        wide = x.astype(jnp.float32)
        mean_square = jnp.mean(jnp.square(wide), axis=-1, keepdims=True)
        normed = (wide * jax.lax.rsqrt(mean_square + 1e-6)).astype(x.dtype)
        return normed * jnp.broadcast_to(scale.astype(x.dtype), x.shape)


class RelativePositionBias(nn.Module):
    """A tower's table of biases, added to the attention logits of each of its layers."""

    config: ModelConfig
    bidirectional: bool
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, num_queries: int, num_keys: int) -> Float[Array, "1 H T S"]:
        """The bias of every head for every query and key position."""
        table = self.param(
            "rel_embedding",
            nn.initializers.variance_scaling(1.0, "fan_avg", "uniform"),
            (self.config.num_heads, self.config.relative_attention_num_buckets),
        )
        relative_position = jnp.arange(num_keys)[None, :] - jnp.arange(num_queries)[:, None]
        buckets = relative_position_bucket(relative_position, self.config, self.bidirectional)
        return jnp.take(table.astype(self.dtype), buckets, axis=1)[None]


class Attention(Part):
    """Multi-head attention; keys and values are computed separately, so that they can be cached."""

    def setup(self) -> None:
        """Declares `query`, `key`, `value` and `out`, all two-dimensional as in T5X."""
        joint = self.config.num_heads * self.config.head_dim
        # T5X divides the initial query kernel by sqrt(head_dim) in place of scaling the logits.
        scale = 1.0 / self.config.head_dim
        query_init = nn.initializers.variance_scaling(scale, "fan_in", "truncated_normal")
        self.query = dense(joint, self.dtype, query_init)
        self.key = dense(joint, self.dtype)
        self.value = dense(joint, self.dtype)
        self.out = dense(self.config.d_model, self.dtype)
        # T5X drops attention weights with the same mask for all queries. This commutes with the
        # weighted sum, so dropping whole value rows is equivalent and much cheaper.
        self.value_dropout = Dropout(self.dropout_rate)

    def keys_values(
        self, x: Float[Array, "B S D"]
    ) -> tuple[Float[Array, "B H S K"], Float[Array, "B H S K"]]:
        """Projects `x` to keys and values."""
        return self._heads(self.key(x)), self._heads(self.value(x))

    def __call__(
        self,
        x: Float[Array, "B T D"],
        keys: Float[Array, "B H S K"],
        values: Float[Array, "B H S K"],
        bias: Float[Array, "1 H T S"] | None = None,
        mask: Bool[Array, "B S"] | None = None,
        *,
        dropout_masks: Masks = None,
    ) -> Float[Array, "B T D"]:
        """Attends from `x` to the given keys and values, in the activation dtype."""
        values = self.value_dropout.rows(values, dropout_masks)
        mixed = attend(self._heads(self.query(x)), keys, values, bias, mask)
        return self.out(mixed.swapaxes(1, 2).reshape(*x.shape[:2], -1))

    def _heads(self, x: Float[Array, "B L HK"]) -> Float[Array, "B H L K"]:
        split = x.reshape(*x.shape[:2], self.config.num_heads, self.config.head_dim)
        return split.swapaxes(1, 2)


class GatedMLP(Part):
    """T5 1.1's feed-forward block: (gelu(x wi_0) * (x wi_1)) wo, with the tanh form of gelu."""

    @nn.compact
    def __call__(self, x: Float[Array, "B L D"], dropout_masks: Masks) -> Float[Array, "B L D"]:
        """Maps each position separately."""
        gate = dense(self.config.d_ff, self.dtype, name="wi_0")
        up = dense(self.config.d_ff, self.dtype, name="wi_1")
        down = dense(self.config.d_model, self.dtype, name="wo")
        hidden = nn.gelu(gate(x), approximate=True) * up(x)
        return down(Dropout(self.dropout_rate)(hidden, dropout_masks))
