"""T5 1.1 architectures: a record per size, and the exact parameter counts that follow from it.

Sizes: the authors' released configurations (google-research/prompt-tuning, `configs/models/sizes`).
The `mini-*` sizes belong to the miniature; they keep the paper's names and order.
"""

import dataclasses
from typing import Any

from promptscale.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A T5 1.1 architecture.

    The joint width of the heads, `num_heads * head_dim`, may differ from `d_model` (it does in
    T5 1.1 Small).
    """

    d_model: int
    d_ff: int
    num_encoder_layers: int
    num_decoder_layers: int
    num_heads: int
    head_dim: int = 64
    vocab_size: int = 32128
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(
                    f"The architecture's {name} is {value!r}; it must be a positive whole number."
                )

    @property
    def num_parameters(self) -> int:
        """All parameters of the model (Table 4 less the prompt); there are no biases."""
        d, joint, ff = self.d_model, self.num_heads * self.head_dim, self.d_ff
        encoder_layer = 4 * d * joint + 3 * d * ff + 2 * d
        decoder_layer = 8 * d * joint + 3 * d * ff + 3 * d
        tower = d + self.relative_attention_num_buckets * self.num_heads
        embedding_and_head = 2 * self.vocab_size * d
        encoder = self.num_encoder_layers * encoder_layer + tower
        decoder = self.num_decoder_layers * decoder_layer + tower
        return embedding_and_head + encoder + decoder


def _t5(d_model: int, d_ff: int, layers: int, num_heads: int, **fields: int) -> ModelConfig:
    """An architecture with towers of equal depth, as in all of T5 1.1."""
    return ModelConfig(
        d_model=d_model,
        d_ff=d_ff,
        num_encoder_layers=layers,
        num_decoder_layers=layers,
        num_heads=num_heads,
        **fields,
    )


def _mini(d_model: int, layers: int, num_heads: int) -> ModelConfig:
    return _t5(d_model, 2 * d_model, layers, num_heads, head_dim=16, vocab_size=512)


PAPER_SIZES: dict[str, ModelConfig] = {
    "small": _t5(512, 1024, 8, 6),
    "base": _t5(768, 2048, 12, 12),
    "large": _t5(1024, 2816, 24, 16),
    "xl": _t5(2048, 5120, 24, 32),
    "xxl": _t5(4096, 10240, 24, 64),
}


MINIATURE_SIZES: dict[str, ModelConfig] = {
    "mini-small": _mini(16, 1, 1),
    "mini-base": _mini(24, 2, 2),
    "mini-large": _mini(32, 2, 2),
    "mini-xl": _mini(48, 2, 3),
    "mini-xxl": _mini(64, 2, 4),
}

SIZES: dict[str, ModelConfig] = PAPER_SIZES | MINIATURE_SIZES


def model_config(size: str, extra: dict[str, ModelConfig] | None = None) -> ModelConfig:
    """The architecture called `size`, among the built-in ones and `extra`.

    Raises:
      ConfigError: no architecture has that name.
    """
    known = SIZES | (extra or {})
    if size not in known:
        raise ConfigError(f"There is no size {size!r}; the sizes are {', '.join(known)}.")
    return known[size]


def parameter_counts(size: str, prompt_length: int) -> dict[str, Any]:
    """Table 4's row for a prompt of `prompt_length` tokens on the model called `size`.

    Returns:
      `size`, `prompt_length`, `trainable` (the prompt's parameters), `total` (prompt and model)
      and `percent` (trainable of total).
    Raises:
      ConfigError: unknown size, or a prompt length below 1.
    """
    config = model_config(size)
    if prompt_length < 1:
        raise ConfigError(f"The prompt length is {prompt_length}; it must be at least 1.")
    trainable = prompt_length * config.d_model
    total = trainable + config.num_parameters
    return {
        "size": size,
        "prompt_length": prompt_length,
        "trainable": trainable,
        "total": total,
        "percent": 100.0 * trainable / total,
    }
