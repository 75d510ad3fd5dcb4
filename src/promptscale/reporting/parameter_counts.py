"""Task-specific parameters of five ways to adapt a frozen T5 1.1 (Figure 4).

The paper gives no formulas. In ours, d is the model's width, L the layers of either tower and P the
length of the prompt or prefix; docs/deviations.md has every choice that the paper leaves open.

- Model tuning: all parameters.
- Prefix tuning (Li and Liang, 2021): activations in front of every layer, 2 P L d over encoder
  and decoder; in training, for each of the three kinds of attention as in their code for BART,
  an embedding P d and an MLP d -> m -> 2 L d with biases, which produce the prefix.
- WARP (Hambardzumyan et al., 2021): P tokens at the input, C class vectors at the output.
- Prompt tuning: P d.
- Prompt design: each of 500 to 2,000 token ids counts as one parameter (footnote 9).
"""

import pandas as pd

from promptscale.config.sizes import PAPER_SIZES, ModelConfig

_PREFIX_BLOCKS = 3  # separately reparameterised kinds of attention in training
_WARP_CLASSES = 2  # class vectors C in WARP's output layer
_LENGTHS = range(1, 101)  # of the prompts and prefixes that the bands cover
_DESIGN_LENGTHS = range(500, 2001, 15)  # of the text prompts that the band of prompt design covers


def by_method(
    config: ModelConfig, length: int, activations_per_layer: int = 2, hidden: int = 512
) -> dict[str, int]:
    """The parameters for a task of the methods with a prompt or prefix.

    Args:
      length: the positions of the prompt or prefix.
      activations_per_layer: activation vectors that each prefix position has for each of the L
        layers: 1 counts the encoder alone, 2 both towers (this fits the caption's "0.1-1%" best),
        6 the keys and values of all three kinds of attention.
      hidden: width m of the hidden layer of the prefix's reparameterisation.
    Returns:
      The parameters by method. Prefix tuning stores `prefix_tuning` and trains
      `prefix_tuning_training`, the reparameterisation.
    """
    width, layers = config.d_model, config.num_encoder_layers
    mlp = (width + 1) * hidden + (hidden + 1) * 2 * layers * width
    return {
        "prefix_tuning_training": _PREFIX_BLOCKS * (length * width + mlp),
        "prefix_tuning": length * activations_per_layer * layers * width,
        "warp": (length + _WARP_CLASSES) * width,
        "prompt_tuning": length * width,
    }


def task_parameters() -> pd.DataFrame:
    """The numbers of Figure 4: a row per method, size of the paper and length.

    Returns:
      Columns `method`, `size`, `parameters` (the frozen model's), `length`, `task_parameters`
      and `percent` of all parameters in use, the task's included (as in Table 4).
    """
    rows = []
    for size, config in PAPER_SIZES.items():
        model = config.num_parameters
        rows.append(("model_tuning", size, model, 0, model))
        for length in _LENGTHS:
            counts = by_method(config, length)
            rows += [(method, size, model, length, count) for method, count in counts.items()]
        rows += [("prompt_design", size, model, length, length) for length in _DESIGN_LENGTHS]
    columns = ["method", "size", "parameters", "length", "task_parameters"]
    frame = pd.DataFrame(rows, columns=columns)
    frozen = frame["parameters"].where(frame["method"] != "model_tuning", 0)
    percent = 100 * frame["task_parameters"] / (frozen + frame["task_parameters"])
    return frame.assign(percent=percent)
