"""The cases of the benchmarks: which work both trainers do. This file needs NumPy alone."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Work that a trainer repeats; JSON carries it to the trainer's process.

    Attributes:
      name: of the case in the results.
      mode: `train` (steps of prompt tuning), `full` (steps of model tuning), `decode`, or `matmul`.
      size: the name of the model's size.
      architecture: its dimensions, the fields of `promptscale.config.sizes.ModelConfig`.
      weights: a Hugging Face folder of the model; where it is empty, weights are random.
      batches: for each step, for each run, the token ids of `inputs` and `targets`: one list an
        example, with EOS and without padding. `decode` decodes the inputs of the first.
      dtype: of the frozen model and the activations.
      compiled: whether torch compiles the model.
      prompt_length: of each run's prompt.
      cores: threads of a trainer on a CPU.
      token_budget: positions (prompt, input and target) of a micro-batch; 0 leaves it to us.
      decode_length: tokens that are decoded at most; `decode_batch`: examples at a time (PEFT).
      matmul: rows, inner dimension and columns of the product; `repeats`: products in a row.
    """

    name: str
    mode: str = "train"
    size: str = "small"
    architecture: dict[str, int]
    weights: str = ""
    batches: list[list[dict[str, list[list[int]]]]] = dataclasses.field(default_factory=list)
    dtype: str = "float32"
    compiled: bool = False
    prompt_length: int = 100
    cores: int = 2
    token_budget: int = 0
    decode_length: int = 0
    decode_batch: int = 32
    matmul: tuple[int, int, int] = (0, 0, 0)
    repeats: int = 1

    @property
    def runs(self) -> int:
        """The number of prompts that are trained together."""
        return len(self.batches[0]) if self.batches else 0

    def as_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)


def initial_prompt(run: int, prompt_length: int, d_model: int) -> np.ndarray:
    """The prompt that a run starts from, the same for every trainer."""
    draw = np.random.default_rng([1, run])
    return draw.normal(0.0, 0.5, (prompt_length, d_model)).astype(np.float32)


def generated_batch(
    lengths: list[tuple[int, int]], seed: int = 0, vocabulary: int = 30_000
) -> dict[str, list[list[int]]]:
    """Random examples of these lengths of inputs and targets, EOS included."""
    draw = np.random.default_rng(seed)

    def sequence(length: int) -> list[int]:
        return [*draw.integers(3, vocabulary, length - 1).tolist(), 1]

    pairs = [(sequence(inputs), sequence(targets)) for inputs, targets in lengths]
    return {"inputs": [pair[0] for pair in pairs], "targets": [pair[1] for pair in pairs]}
