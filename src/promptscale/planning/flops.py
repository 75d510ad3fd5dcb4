"""Floating-point operations of a T5 1.1, counted from its architecture: 2 for each multiply-add.

Matrix products only; norms, softmax, biases and the lookup of embeddings are left out (about 1 %).
The backward pass of a product costs a further product for each factor that needs a gradient. A
frozen weight needs none, but both factors of attention's products depend on the prompt.
Letters: S encoder positions (prompt and input), T decoder positions, L layers, D d_model,
HK joint width of the heads, F d_ff, V vocabulary rows.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from promptscale.config.sizes import ModelConfig


class Forward(NamedTuple):
    """Operations of an example's forward pass: products with weights, and within attention."""

    weights: float
    attention: float

    def step(self, gradient: str) -> float:
        """The forward pass, and the backward pass to `nothing`, `inputs` or `weights` too."""
        weights, attention = {"nothing": (1, 1), "inputs": (2, 3), "weights": (3, 3)}[gradient]
        return weights * self.weights + attention * self.attention


def forward(
    config: ModelConfig, encoder_length: int | float, decoder_length: int | float
) -> Forward:
    """The forward pass of an example of these lengths, teacher-forced.

    Attention's causality saves nothing. Lengths may be means of several examples.
    """
    s, t = encoder_length, decoder_length
    d, joint, ff = config.d_model, config.num_heads * config.head_dim, config.d_ff
    encoder, decoder = config.num_encoder_layers, config.num_decoder_layers
    weights = 2 * s * encoder * (4 * d * joint + 3 * d * ff)
    weights += 2 * t * decoder * (6 * d * joint + 3 * d * ff)
    weights += 2 * s * decoder * 2 * d * joint  # keys and values of what the encoder gives
    weights += 2 * t * d * config.vocab_size
    attention = 4 * joint * (s * s * encoder + t * t * decoder + t * s * decoder)
    return Forward(float(weights), float(attention))


def step_flops(config: ModelConfig, gradient: str) -> Callable[[int, int], float]:
    """A function from an example's encoder and decoder positions to its operations in a step."""

    @functools.cache
    def flops(encoder_length: int, decoder_length: int) -> float:
        return forward(config, encoder_length, decoder_length).step(gradient)

    return flops
