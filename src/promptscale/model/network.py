"""The T5 1.1 encoder-decoder.

The parameter tree has T5X's names (t5x/examples/t5/network.py); `parameter_shapes` lists it. Use:
`T5(config).apply({"params": params}, ..., method="encode")`. Dropout (rate 0 by default) is applied
as in T5X: to the embedded input, to each residual branch, to attention, in the MLP and after the
final norm of each tower.
Letters: B batch, S source positions, T target positions, L positions of the cache, D d_model,
H heads, K head_dim, V vocabulary rows.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Bool, Float, Int

from promptscale.config.sizes import ModelConfig
from promptscale.model.attention import MASKED
from promptscale.model.dropout import Dropout, DropoutKeys, Masks, Places, draw_masks
from promptscale.model.layers import (
    Attention,
    GatedMLP,
    Part,
    RelativePositionBias,
    RMSNorm,
    dense,
)


class EncoderLayer(Part):
    """Self-attention and MLP; each has a norm before it and is added to the residual stream."""

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B S D"],
        bias: Float[Array, "1 H S S"],
        mask: Bool[Array, "B S"],
        dropout_masks: Masks,
    ) -> Float[Array, "B S D"]:
        """Applies the layer; `bias` is added to the attention logits."""
        parts = (self.config, self.dropout_rate, self.dtype)
        normed = RMSNorm(name="pre_attention_layer_norm")(x)
        attention = Attention(*parts, name="attention")
        keys, values = attention.keys_values(normed)
        attended = attention(normed, keys, values, bias, mask, dropout_masks=dropout_masks)
        x = x + Dropout(self.dropout_rate)(attended, dropout_masks)
        hidden = GatedMLP(*parts, name="mlp")(RMSNorm(name="pre_mlp_layer_norm")(x), dropout_masks)
        return x + Dropout(self.dropout_rate)(hidden, dropout_masks)


class Encoder(Part):
    """The encoder tower, whose attention is bidirectional."""

    @nn.compact
    def __call__(
        self, embedded: Float[Array, "B S D"], mask: Bool[Array, "B S"], dropout_keys: DropoutKeys
    ) -> Float[Array, "B S D"]:
        """Encodes embeddings; positions where `mask` is false are hidden from attention."""
        length = embedded.shape[1]
        position = RelativePositionBias(self.config, True, self.dtype, name="relpos_bias")
        bias = position(length, length)
        dropout_masks = draw_masks(dropout_keys, self.dropout_rate, self._dropped(length))
        x = Dropout(self.dropout_rate)(embedded.astype(self.dtype), dropout_masks)
        for index in range(self.config.num_encoder_layers):
            layer = EncoderLayer(self.config, self.dropout_rate, self.dtype, name=f"layers_{index}")
            x = layer(x, bias, mask, dropout_masks)
        x = RMSNorm(name="encoder_norm")(x)
        return Dropout(self.dropout_rate)(x, dropout_masks)

    def _dropped(self, length: int) -> Places:
        """The places of dropout, and the shapes of their masks (`draw_masks`)."""
        width, tower = (self.config.d_model,), "/".join(self.path)
        places: Places = {f"{tower}/Dropout_0": width, f"{tower}/Dropout_1": width}
        for index in range(self.config.num_encoder_layers):
            layer = f"{tower}/layers_{index}"
            places |= {
                f"{layer}/attention/value_dropout": (length, self.config.num_heads),
                f"{layer}/Dropout_0": width,
                f"{layer}/mlp/Dropout_0": (self.config.d_ff,),
                f"{layer}/Dropout_1": width,
            }
        return places


CrossKeysValues = tuple[Float[Array, "B H S K"], Float[Array, "B H S K"]]  # encoder's output
SelfKeysValues = tuple[Float[Array, "B H L K"], Float[Array, "B H L K"]]  # targets so far


class DecodingCache(NamedTuple):
    """The keys and values of each decoder layer's attentions, for decoding token by token."""

    self_attention: tuple[SelfKeysValues, ...]
    cross_attention: tuple[CrossKeysValues, ...]
    encoded_mask: Bool[Array, "B S"]


class DecoderLayer(Part):
    """Causal self-attention, attention to the encoder's output, MLP."""

    def setup(self) -> None:
        """Declares the layer's parts under T5X's names."""
        parts = (self.config, self.dropout_rate, self.dtype)
        self.pre_self_attention_layer_norm = RMSNorm()
        self.self_attention = Attention(*parts)
        self.pre_cross_attention_layer_norm = RMSNorm()
        self.encoder_decoder_attention = Attention(*parts)
        self.pre_mlp_layer_norm = RMSNorm()
        self.mlp = GatedMLP(*parts)
        self.attention_dropout = Dropout(self.dropout_rate)
        self.cross_attention_dropout = Dropout(self.dropout_rate)
        self.mlp_dropout = Dropout(self.dropout_rate)

    def __call__(
        self,
        x: Float[Array, "B T D"],
        cross: CrossKeysValues,
        self_bias: Float[Array, "1 H T L"],
        encoded_mask: Bool[Array, "B S"],
        *,
        dropout_masks: Masks = None,
        cache: SelfKeysValues | None = None,
        index: Int[Array, ""] | None = None,
    ) -> tuple[Float[Array, "B T D"], SelfKeysValues]:
        """Applies the layer; also returns the keys and values of its self-attention.

        With a `cache`, `x` is the single position `index`. Its key and value are written there, and
        it attends to the whole cache; `self_bias` must hide the later positions.
        """
        normed = self.pre_self_attention_layer_norm(x)
        keys, values = self.self_attention.keys_values(normed)
        if cache is not None and index is not None:
            start = (0, 0, index, 0)
            keys = jax.lax.dynamic_update_slice(cache[0], keys, start)
            values = jax.lax.dynamic_update_slice(cache[1], values, start)
        attended = self.self_attention(normed, keys, values, self_bias, dropout_masks=dropout_masks)
        x = x + self.attention_dropout(attended, dropout_masks)
        crossed = self.encoder_decoder_attention(
            self.pre_cross_attention_layer_norm(x),
            *cross,
            mask=encoded_mask,
            dropout_masks=dropout_masks,
        )
        x = x + self.cross_attention_dropout(crossed, dropout_masks)
        hidden = self.mlp(self.pre_mlp_layer_norm(x), dropout_masks)
        return x + self.mlp_dropout(hidden, dropout_masks), (keys, values)


class Decoder(Part):
    """The decoder tower and its output head, which is not tied and is computed in float32."""

    def setup(self) -> None:
        """Declares the layers, the bias table, the final norm and the head."""
        parts = (self.config, self.dropout_rate, self.dtype)
        self.relpos_bias = RelativePositionBias(self.config, False, self.dtype)
        self.layers = [DecoderLayer(*parts) for _ in range(self.config.num_decoder_layers)]
        self.decoder_norm = RMSNorm()
        self.logits_dense = dense(self.config.vocab_size, jnp.dtype(jnp.float32))
        self.input_dropout = Dropout(self.dropout_rate)
        self.output_dropout = Dropout(self.dropout_rate)

    def __call__(
        self,
        embedded: Float[Array, "B T D"],
        encoded: Float[Array, "B S D"],
        encoded_mask: Bool[Array, "B S"],
        dropout_keys: DropoutKeys,
    ) -> Float[Array, "B T V"]:
        """Logits of all target positions at once (teacher forcing)."""
        self_bias = self._causal_bias(embedded.shape[1])
        places = self._dropped(embedded.shape[1], encoded.shape[1])
        dropout_masks = draw_masks(dropout_keys, self.dropout_rate, places)
        x = self.input_dropout(embedded.astype(self.dtype), dropout_masks)
        for layer in self.layers:
            cross = layer.encoder_decoder_attention.keys_values(encoded)
            x, _ = layer(x, cross, self_bias, encoded_mask, dropout_masks=dropout_masks)
        return self._logits(x, dropout_masks)

    def step(
        self, embedded: Float[Array, "B 1 D"], cache: DecodingCache, index: Int[Array, ""]
    ) -> tuple[Float[Array, "B V"], DecodingCache]:
        """Logits after the target position `index`, and the cache updated at that position."""
        length = cache.self_attention[0][0].shape[2]
        self_bias = jax.lax.dynamic_slice_in_dim(self._causal_bias(length), index, 1, axis=2)
        x = embedded.astype(self.dtype)
        updated = []
        for layer, targets, cross in zip(self.layers, *cache[:2], strict=True):
            x, targets = layer(x, cross, self_bias, cache.encoded_mask, cache=targets, index=index)
            updated.append(targets)
        return self._logits(x, None)[:, 0], cache._replace(self_attention=tuple(updated))

    def _causal_bias(self, length: int) -> Float[Array, "1 H T T"]:
        future = jnp.triu(jnp.ones((length, length), bool), 1)[None, None]
        return self.relpos_bias(length, length) + jnp.where(future, MASKED, 0.0).astype(self.dtype)

    def _logits(self, x: Float[Array, "B T D"], dropout_masks: Masks) -> Float[Array, "B T V"]:
        x = self.output_dropout(self.decoder_norm(x), dropout_masks)
        return self.logits_dense(x.astype(jnp.float32))

    def _dropped(self, targets: int, inputs: int) -> Places:
        """The places of dropout, and the shapes of their masks (`draw_masks`)."""
        width, tower, heads = (self.config.d_model,), "/".join(self.path), self.config.num_heads
        places: Places = {f"{tower}/input_dropout": width, f"{tower}/output_dropout": width}
        for index in range(self.config.num_decoder_layers):
            layer = f"{tower}/layers_{index}"
            places |= {
                f"{layer}/self_attention/value_dropout": (targets, heads),
                f"{layer}/attention_dropout": width,
                f"{layer}/encoder_decoder_attention/value_dropout": (inputs, heads),
                f"{layer}/cross_attention_dropout": width,
                f"{layer}/mlp/Dropout_0": (self.config.d_ff,),
                f"{layer}/mlp_dropout": width,
            }
        return places


class T5(Part):
    """T5 1.1 as pure functions: all state is in the arguments and the results."""

    def setup(self) -> None:
        """Declares the shared embedding and the towers."""
        shape = (self.config.vocab_size, self.config.d_model)
        init = nn.initializers.normal(1.0)
        self.token_embedder = nn.Embed(*shape, dtype=self.dtype, embedding_init=init)
        self.encoder = Encoder(self.config, self.dropout_rate, self.dtype)
        self.decoder = Decoder(self.config, self.dropout_rate, self.dtype)

    def embed(self, tokens: Int[Array, "B L"]) -> Float[Array, "B L D"]:
        """Looks tokens up in the embedding table of encoder and decoder, without scaling."""
        return self.token_embedder(tokens)

    def encode(
        self,
        embedded: Float[Array, "B S D"],
        mask: Bool[Array, "B S"],
        dropout_keys: DropoutKeys = None,
    ) -> Float[Array, "B S D"]:
        """The encoder's output for any embeddings."""
        return self.encoder(embedded, mask, dropout_keys)

    def decode(
        self,
        encoded: Float[Array, "B S D"],
        mask: Bool[Array, "B S"],
        targets: Int[Array, "B T"],
        dropout_keys: DropoutKeys = None,
    ) -> Float[Array, "B T V"]:
        """Float32 logits of every token of `targets`, given the tokens before it.

        The decoder's input is `targets` shifted right, with T5's start token 0.
        """
        shifted = jnp.pad(targets[:, :-1], ((0, 0), (1, 0)))
        return self.decoder(self.embed(shifted), encoded, mask, dropout_keys)

    def start_decoding(
        self, encoded: Float[Array, "B S D"], mask: Bool[Array, "B S"], length: int
    ) -> DecodingCache:
        """An empty cache for decoding up to `length` tokens, token by token."""
        layers = self.decoder.layers
        shape = (encoded.shape[0], self.config.num_heads, length, self.config.head_dim)
        empty = jnp.zeros(shape, self.dtype)
        return DecodingCache(
            tuple((empty, empty) for _ in layers),
            tuple(layer.encoder_decoder_attention.keys_values(encoded) for layer in layers),
            mask,
        )

    def decode_step(
        self, tokens: Int[Array, " B"], cache: DecodingCache, index: Int[Array, ""]
    ) -> tuple[Float[Array, "B V"], DecodingCache]:
        """Float32 logits after feeding `tokens` at position `index`, and the new cache."""
        return self.decoder.step(self.embed(tokens[:, None]), cache, index)

    def __call__(
        self, inputs: Int[Array, "B S"], targets: Int[Array, "B T"]
    ) -> Float[Array, "B T V"]:
        """Logits for token inputs (0 is padding) without dropout; `init` uses it."""
        mask = inputs > 0
        return self.decode(self.encode(self.embed(inputs), mask), mask, targets)


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The T5X name and shape of every parameter; no array is allocated."""
    tokens = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    variables = jax.eval_shape(T5(config).init, jax.random.key(0), tokens, tokens)
    flat = traverse_util.flatten_dict(variables["params"], sep="/")
    return {name: leaf.shape for name, leaf in flat.items()}
