"""The T5 1.1 encoder-decoder.

The parameter tree is T5X's, name for name (t5x/examples/t5/network.py); `parameter_shapes` lists
it. Use: `T5(config).apply({"params": params}, ..., method="encode")`. Dropout (rate 0 unless
given) stands where T5X has it: on the embedded input, on each residual branch, on attention, in
the MLP and after each tower's final norm.
Letters: B batch, S source positions, T target positions, D d_model, H heads, K head_dim,
V vocabulary rows.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Bool, Float, Int

from promptscale.config.sizes import ModelConfig
from promptscale.model.layers import (
    MASKED,
    Attention,
    Dropout,
    GatedMLP,
    RelativePositionBias,
    RMSNorm,
    dense,
    mask_bias,
)


class EncoderLayer(nn.Module):
    """Self-attention and MLP, each behind a norm and added to the residual stream."""

    config: ModelConfig
    dropout_rate: float
    dtype: jnp.dtype

    def setup(self) -> None:
        """Declares the layer's parts under T5X's names."""
        parts = (self.config, self.dropout_rate, self.dtype)
        self.pre_attention_layer_norm = RMSNorm()
        self.attention = Attention(*parts)
        self.pre_mlp_layer_norm = RMSNorm()
        self.mlp = GatedMLP(*parts)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(
        self, x: Float[Array, "B S D"], *biases: Float[Array, "_ _ _ S"], deterministic: bool
    ) -> Float[Array, "B S D"]:
        """One layer of the encoder."""
        normed = self.pre_attention_layer_norm(x)
        keys, values = self.attention.keys_values(normed)
        attended = self.attention(normed, keys, values, *biases, deterministic=deterministic)
        x = x + self.dropout(attended, deterministic)
        hidden = self.mlp(self.pre_mlp_layer_norm(x), deterministic)
        return x + self.dropout(hidden, deterministic)


class Encoder(nn.Module):
    """The encoder tower: bidirectional over all positions that the mask shows."""

    config: ModelConfig
    dropout_rate: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, embedded: Float[Array, "B S D"], mask: Bool[Array, "B S"], deterministic: bool
    ) -> Float[Array, "B S D"]:
        """Encodes embeddings; positions where `mask` is false are not attended to."""
        length = embedded.shape[1]
        position = RelativePositionBias(self.config, True, self.dtype, name="relpos_bias")
        biases = position(length, length), mask_bias(mask, self.dtype)
        x = Dropout(self.dropout_rate)(embedded.astype(self.dtype), deterministic)
        for index in range(self.config.num_encoder_layers):
            layer = EncoderLayer(self.config, self.dropout_rate, self.dtype, name=f"layers_{index}")
            x = layer(x, *biases, deterministic=deterministic)
        x = RMSNorm(name="encoder_norm")(x)
        return Dropout(self.dropout_rate)(x, deterministic)


KeysValues = tuple[Float[Array, "B H S K"], Float[Array, "B H S K"]]  # of the encoder's output
OwnKeysValues = tuple[Float[Array, "B H L K"], Float[Array, "B H L K"]]  # of the targets so far


class DecodingCache(NamedTuple):
    """What decoding one token at a time keeps: per layer, keys and values of both attentions."""

    own: tuple[OwnKeysValues, ...]
    cross: tuple[KeysValues, ...]
    cross_bias: Float[Array, "B 1 1 S"]


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the encoder's output, MLP."""

    config: ModelConfig
    dropout_rate: float
    dtype: jnp.dtype

    def setup(self) -> None:
        """Declares the layer's parts under T5X's names."""
        parts = (self.config, self.dropout_rate, self.dtype)
        self.pre_self_attention_layer_norm = RMSNorm()
        self.self_attention = Attention(*parts)
        self.pre_cross_attention_layer_norm = RMSNorm()
        self.encoder_decoder_attention = Attention(*parts)
        self.pre_mlp_layer_norm = RMSNorm()
        self.mlp = GatedMLP(*parts)
        self.dropout = Dropout(self.dropout_rate)

    def cross_keys_values(self, encoded: Float[Array, "B S D"]) -> KeysValues:
        """Keys and values of the encoder's output, the same for every target position."""
        return self.encoder_decoder_attention.keys_values(encoded)

    def __call__(
        self,
        x: Float[Array, "B T D"],
        cross: KeysValues,
        self_bias: Float[Array, "1 H T L"],
        cross_bias: Float[Array, "B 1 1 S"],
        *,
        deterministic: bool = True,
        cache: OwnKeysValues | None = None,
        index: Int[Array, ""] | None = None,
    ) -> tuple[Float[Array, "B T D"], OwnKeysValues]:
        """One layer of the decoder, and the keys and values of its self-attention.

        With a `cache`, `x` is the single position `index`: its key and value are put there and
        it attends to the whole cache, whose later positions `self_bias` must hide.
        """
        normed = self.pre_self_attention_layer_norm(x)
        keys, values = self.self_attention.keys_values(normed)
        if cache is not None and index is not None:
            start = (0, 0, index, 0)
            keys = jax.lax.dynamic_update_slice(cache[0], keys, start)
            values = jax.lax.dynamic_update_slice(cache[1], values, start)
        attended = self.self_attention(normed, keys, values, self_bias, deterministic=deterministic)
        x = x + self.dropout(attended, deterministic)
        crossed = self.encoder_decoder_attention(
            self.pre_cross_attention_layer_norm(x), *cross, cross_bias, deterministic=deterministic
        )
        x = x + self.dropout(crossed, deterministic)
        hidden = self.mlp(self.pre_mlp_layer_norm(x), deterministic)
        return x + self.dropout(hidden, deterministic), (keys, values)


class Decoder(nn.Module):
    """The decoder tower and the output head, which is untied and computed in float32."""

    config: ModelConfig
    dropout_rate: float
    dtype: jnp.dtype

    def setup(self) -> None:
        """Declares the layers, the bias table, the final norm and the head."""
        parts = (self.config, self.dropout_rate, self.dtype)
        self.relpos_bias = RelativePositionBias(self.config, False, self.dtype)
        self.layers = [DecoderLayer(*parts) for _ in range(self.config.num_decoder_layers)]
        self.decoder_norm = RMSNorm()
        self.logits_dense = dense(self.config.vocab_size, jnp.dtype(jnp.float32))
        self.dropout = Dropout(self.dropout_rate)

    def __call__(
        self,
        embedded: Float[Array, "B T D"],
        encoded: Float[Array, "B S D"],
        encoded_mask: Bool[Array, "B S"],
        deterministic: bool,
    ) -> Float[Array, "B T V"]:
        """Logits of all target positions at once (teacher forcing)."""
        self_bias = self._causal_bias(embedded.shape[1])
        cross_bias = mask_bias(encoded_mask, self.dtype)
        x = self.dropout(embedded.astype(self.dtype), deterministic)
        for layer in self.layers:
            cross = layer.cross_keys_values(encoded)
            x, _ = layer(x, cross, self_bias, cross_bias, deterministic=deterministic)
        return self._logits(x, deterministic)

    def start(
        self, encoded: Float[Array, "B S D"], encoded_mask: Bool[Array, "B S"], length: int
    ) -> DecodingCache:
        """An empty cache for `length` target positions."""
        shape = (encoded.shape[0], self.config.num_heads, length, self.config.head_dim)
        empty = jnp.zeros(shape, self.dtype)
        return DecodingCache(
            own=tuple((empty, empty) for _ in self.layers),
            cross=tuple(layer.cross_keys_values(encoded) for layer in self.layers),
            cross_bias=mask_bias(encoded_mask, self.dtype),
        )

    def step(
        self, embedded: Float[Array, "B 1 D"], cache: DecodingCache, index: Int[Array, ""]
    ) -> tuple[Float[Array, "B V"], DecodingCache]:
        """Logits after the target position `index`, and the cache with that position in it."""
        length = cache.own[0][0].shape[2]
        self_bias = jax.lax.dynamic_slice_in_dim(self._causal_bias(length), index, 1, axis=2)
        x = embedded.astype(self.dtype)
        own = []
        for layer, kept, cross in zip(self.layers, cache.own, cache.cross, strict=True):
            x, kept = layer(x, cross, self_bias, cache.cross_bias, cache=kept, index=index)
            own.append(kept)
        return self._logits(x, True)[:, 0], cache._replace(own=tuple(own))

    def _causal_bias(self, length: int) -> Float[Array, "1 H T T"]:
        future = jnp.triu(jnp.ones((length, length), bool), 1)[None, None]
        return self.relpos_bias(length, length) + jnp.where(future, MASKED, 0.0).astype(self.dtype)

    def _logits(self, x: Float[Array, "B T D"], deterministic: bool) -> Float[Array, "B T V"]:
        x = self.dropout(self.decoder_norm(x), deterministic)
        return self.logits_dense(x.astype(jnp.float32))


class T5(nn.Module):
    """T5 1.1, used purely functionally: all state is in the arguments and the results.

    Attributes:
      config: the architecture.
      dropout_rate: rate of every dropout; acts only where `deterministic` is false.
      dtype: dtype of the activations; parameters keep theirs and are cast at use.
    """

    config: ModelConfig
    dropout_rate: float = 0.0
    dtype: jnp.dtype = jnp.dtype(jnp.float32)

    def setup(self) -> None:
        """Declares the shared embedding and the towers."""
        self.token_embedder = nn.Embed(
            self.config.vocab_size,
            self.config.d_model,
            dtype=self.dtype,
            embedding_init=nn.initializers.normal(1.0),
        )
        self.encoder = Encoder(self.config, self.dropout_rate, self.dtype)
        self.decoder = Decoder(self.config, self.dropout_rate, self.dtype)

    def embed(self, tokens: Int[Array, "B L"]) -> Float[Array, "B L D"]:
        """Looks tokens up in the table that encoder and decoder share (no scaling)."""
        return self.token_embedder(tokens)

    def encode(
        self,
        embedded: Float[Array, "B S D"],
        mask: Bool[Array, "B S"],
        deterministic: bool = True,
    ) -> Float[Array, "B S D"]:
        """The encoder's output for embeddings of any origin."""
        return self.encoder(embedded, mask, deterministic)

    def decode(
        self,
        encoded: Float[Array, "B S D"],
        mask: Bool[Array, "B S"],
        targets: Int[Array, "B T"],
        deterministic: bool = True,
    ) -> Float[Array, "B T V"]:
        """Float32 logits of every token of `targets`, given the tokens before it.

        The decoder's input is `targets` shifted right behind a 0 (T5 has no other start token).
        """
        shifted = jnp.pad(targets[:, :-1], ((0, 0), (1, 0)))
        return self.decoder(self.embed(shifted), encoded, mask, deterministic)

    def start_decoding(
        self, encoded: Float[Array, "B S D"], mask: Bool[Array, "B S"], length: int
    ) -> DecodingCache:
        """A cache for decoding up to `length` tokens one at a time."""
        return self.decoder.start(encoded, mask, length)

    def decode_step(
        self, tokens: Int[Array, " B"], cache: DecodingCache, index: Int[Array, ""]
    ) -> tuple[Float[Array, "B V"], DecodingCache]:
        """Float32 logits after feeding `tokens` at position `index`, and the new cache."""
        return self.decoder.step(self.embed(tokens[:, None]), cache, index)

    def __call__(
        self, inputs: Int[Array, "B S"], targets: Int[Array, "B T"]
    ) -> Float[Array, "B T V"]:
        """Logits for plain token inputs without dropout (0 is padding); also initialises."""
        mask = inputs > 0
        return self.decode(self.encode(self.embed(inputs), mask), mask, targets)


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's T5X name and shape; nothing is allocated, so XXL costs nothing."""
    tokens = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    variables = jax.eval_shape(T5(config).init, jax.random.key(0), tokens, tokens)
    flat = traverse_util.flatten_dict(variables["params"], sep="/")
    return {name: leaf.shape for name, leaf in flat.items()}
