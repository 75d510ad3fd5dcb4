"""Evaluation as the paper does it: free generation, exact text, the task's own metrics."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from promptscale import metrics
from promptscale.config.tasks import Task
from promptscale.data.batches import in_order, padded_length
from promptscale.data.prepared import Examples
from promptscale.data.vocabulary import Vocabulary
from promptscale.training.methods import Params

Generate = Callable[..., Array]


class DevSet:
    """A validation split held ready: padded inputs on the host, rows for the metrics.

    Inputs are not cut, however long, and up to the longest target is generated, as released.
    """

    def __init__(
        self, task: Task, examples: Examples, vocabulary: Vocabulary, batch_size: int
    ) -> None:
        """Pads the inputs to one length, in batches of at most `batch_size`."""
        self.task = task
        self.rows = examples.rows()
        self.targets_length = padded_length(examples.targets, multiple=1)
        self._vocabulary = vocabulary
        batch_size = min(batch_size, len(examples))
        self._inputs = list(in_order(examples, batch_size, padded_length(examples.inputs)))

    def predict(
        self, generate: Generate, params: Params, prompt: Float[Array, "P D"] | None
    ) -> list[str]:
        """The generated text for every row, in order."""
        generated = [generate(params, prompt, inputs) for inputs in self._inputs]
        ids = np.concatenate(jax.device_get(generated))
        return [self._vocabulary.decode(row) for row in ids[: len(self.rows)]]

    def score(self, predictions: Sequence[str]) -> dict[str, float]:
        """The task's metrics (0 to 100) and `score`, their mean."""
        return metrics.score(self.task, predictions, self.rows)

    def prediction_rows(self, predictions: Iterable[str]) -> Iterable[dict[str, Any]]:
        """One row per example for people to read: input, target, prediction, correct or not."""
        for row, prediction in zip(self.rows, predictions, strict=True):
            yield {
                "id": row["id"],
                "inputs": row["inputs"],
                "targets": row["targets"],
                "prediction": prediction,
                "correct": metrics.correct(self.task, prediction, row),
            }
