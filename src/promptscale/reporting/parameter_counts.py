"""Task-specific parameters of five ways to adapt a frozen T5 1.1 (Figure 4).

The paper gives no formulas. In ours, d is the model's width, L the layers of either tower and P the
length of the prompt or prefix; `Assumptions` has every choice that the paper leaves open
(docs/deviations.md).

- Model tuning: all parameters.
- Prefix tuning (Li and Liang, 2021): activations in front of every layer, 2 P L d over encoder
  and decoder; in training, for each of the three kinds of attention as in their code for BART,
  an embedding P d and an MLP d -> m -> 2 L d with biases, which produce the prefix.
- WARP (Hambardzumyan et al., 2021): P tokens at the input, C class vectors at the output.
- Prompt tuning: P d.
- Prompt design: each of 500 to 2,000 token ids counts as one parameter (footnote 9).
"""

import dataclasses
from collections.abc import Mapping

import pandas as pd

from promptscale.config.sizes import PAPER_SIZES, ModelConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assumptions:
    """The choices for Figure 4 that the paper leaves open.

    Attributes:
      prefix_activations_per_layer: activation vectors that each prefix position has for each of
        the L layers: 1 counts the encoder alone, 2 both towers (this fits the caption's "0.1-1%"
        best), 6 the keys and values of all three kinds of attention.
      prefix_blocks: separately reparameterised kinds of attention in training.
      prefix_hidden: width of the reparameterisation's hidden layer.
      warp_classes: class vectors in WARP's output layer.
      lengths: prompt and prefix lengths that the bands cover.
      design_lengths: lengths of text prompts that the band of prompt design covers.
    """

    prefix_activations_per_layer: int = 2
    prefix_blocks: int = 3
    prefix_hidden: int = 512
    warp_classes: int = 2
    lengths: range = range(1, 101)
    design_lengths: range = range(500, 2001, 15)


DEFAULT = Assumptions()


def prefix_tuning(config: ModelConfig, length: int, assumptions: Assumptions = DEFAULT) -> int:
    """Parameters that prefix tuning stores for a task."""
    vectors = assumptions.prefix_activations_per_layer * config.num_encoder_layers
    return length * vectors * config.d_model


def prefix_tuning_training(
    config: ModelConfig, length: int, assumptions: Assumptions = DEFAULT
) -> int:
    """Parameters that prefix tuning trains for a task: the prefix's reparameterisation."""
    width, hidden = config.d_model, assumptions.prefix_hidden
    outputs = 2 * config.num_encoder_layers * width
    mlp = (width + 1) * hidden + (hidden + 1) * outputs
    return assumptions.prefix_blocks * (length * width + mlp)


def warp(config: ModelConfig, length: int, assumptions: Assumptions = DEFAULT) -> int:
    """Parameters of WARP's input and output layers."""
    return (length + assumptions.warp_classes) * config.d_model


def prompt_tuning(config: ModelConfig, length: int) -> int:
    """Parameters of a soft prompt."""
    return length * config.d_model


def task_parameters(
    sizes: Mapping[str, ModelConfig] = PAPER_SIZES, assumptions: Assumptions = DEFAULT
) -> pd.DataFrame:
    """The numbers of Figure 4: a row per method, size and length.

    Returns:
      Columns `method`, `size`, `parameters` (the frozen model's), `length`, `task_parameters`
      and `percent` of all parameters in use, the task's included (as in Table 4).
    """
    rows = []
    for size, config in sizes.items():
        rows.append(_row("model_tuning", size, config, 0, config.num_parameters))
        for length in assumptions.lengths:
            counted = {
                "prefix_tuning_training": prefix_tuning_training(config, length, assumptions),
                "prefix_tuning": prefix_tuning(config, length, assumptions),
                "warp": warp(config, length, assumptions),
                "prompt_tuning": prompt_tuning(config, length),
            }
            rows += [_row(method, size, config, length, n) for method, n in counted.items()]
        for length in assumptions.design_lengths:
            rows.append(_row("prompt_design", size, config, length, length))
    return pd.DataFrame(rows)


def _row(method: str, size: str, config: ModelConfig, length: int, count: int) -> dict:
    frozen = 0 if method == "model_tuning" else config.num_parameters
    return {
        "method": method,
        "size": size,
        "parameters": config.num_parameters,
        "length": length,
        "task_parameters": count,
        "percent": 100.0 * count / (frozen + count),
    }
