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
      prefix_hidden: width m of the reparameterisation's hidden layer.
      warp_classes: class vectors C in WARP's output layer.
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


def by_method(
    config: ModelConfig, length: int, assumptions: Assumptions = DEFAULT
) -> dict[str, int]:
    """The parameters for a task of the methods with a prompt or prefix of `length` positions.

    Prefix tuning stores `prefix_tuning` and trains `prefix_tuning_training`, the prefix's
    reparameterisation.
    """
    width, layers = config.d_model, config.num_encoder_layers
    hidden = assumptions.prefix_hidden
    mlp = (width + 1) * hidden + (hidden + 1) * 2 * layers * width
    return {
        "prefix_tuning_training": assumptions.prefix_blocks * (length * width + mlp),
        "prefix_tuning": length * assumptions.prefix_activations_per_layer * layers * width,
        "warp": (length + assumptions.warp_classes) * width,
        "prompt_tuning": length * width,
    }


def task_parameters(assumptions: Assumptions = DEFAULT) -> pd.DataFrame:
    """The numbers of Figure 4: a row per method, size of the paper and length.

    Returns:
      Columns `method`, `size`, `parameters` (the frozen model's), `length`, `task_parameters`
      and `percent` of all parameters in use, the task's included (as in Table 4).
    """
    rows = []
    for size, config in PAPER_SIZES.items():
        model = config.num_parameters
        rows.append(("model_tuning", size, model, 0, model))
        for length in assumptions.lengths:
            counts = by_method(config, length, assumptions)
            rows += [(method, size, model, length, count) for method, count in counts.items()]
        rows += [("prompt_design", size, model, n, n) for n in assumptions.design_lengths]
    columns = ["method", "size", "parameters", "length", "task_parameters"]
    frame = pd.DataFrame(rows, columns=columns)
    frozen = frame["parameters"].where(frame["method"] != "model_tuning", 0)
    return frame.assign(
        percent=100 * frame["task_parameters"] / (frozen + frame["task_parameters"])
    )
