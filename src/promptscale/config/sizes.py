"""T5 1.1's sizes, from the package's sizes.yaml, and the exact parameter counts of each."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import ConfigDict

from promptscale.config.values import Positive
from promptscale.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A T5 1.1 architecture.

    The joint width of the heads, `num_heads * head_dim`, may differ from `d_model` (it does in
    T5 1.1 Small).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    d_model: Positive
    d_ff: Positive
    num_encoder_layers: Positive
    num_decoder_layers: Positive
    num_heads: Positive
    head_dim: Positive = 64
    vocab_size: Positive = 32128
    relative_attention_num_buckets: Positive = 32
    relative_attention_max_distance: Positive = 128

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


_TABLE = yaml.safe_load(Path(__file__).with_name("sizes.yaml").read_text(encoding="utf-8"))
SIZES = {name: ModelConfig(**fields) for name, fields in _TABLE.items()}
PAPER_SIZES = {name: SIZES[name] for name in ("small", "base", "large", "xl", "xxl")}


def model_config(size: str, known: Mapping[str, ModelConfig] = SIZES) -> ModelConfig:
    """The architecture called `size` among the `known` architectures.

    Raises:
      ConfigError: no architecture has that name.
    """
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
