"""Evaluation as the paper does it: free generation, exact text, the task's own metrics."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from promptscale.config.tasks import Task
from promptscale.config.tasks import task as task_named
from promptscale.data.batches import in_order, padded_length
from promptscale.data.prepared import Examples
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.evaluation import metrics
from promptscale.inference import Params

Generate = Callable[..., Array]


class DevSet:
    """A validation split held ready: padded inputs on the devices, rows for the metrics.

    Inputs are not cut, however long, and up to the longest target is generated, as released.
    """

    def __init__(
        self,
        task: Task,
        examples: Examples,
        vocabulary: Vocabulary,
        batch_size: int,
        *,
        inputs_length: int | None = None,
        limit: int = 0,
        devices: Devices,
    ) -> None:
        """Pads the inputs to one length, in batches of at most `batch_size`.

        Args:
          task: the task.
          examples: the split.
          vocabulary: the tokens.
          batch_size: examples per batch; a smaller split is one batch.
          inputs_length: the length to pad to; the longest input's if not given.
          limit: generates at least so many tokens, where the targets are shorter.
          devices: what the batches are spread over.
        """
        self.task = task
        self.rows = examples.rows()
        self.limit = max(padded_length(examples.targets, multiple=1), limit)
        self._vocabulary = vocabulary
        length = inputs_length or padded_length(examples.inputs)
        axis = devices.data_axis
        size = -(-min(batch_size, len(examples)) // axis) * axis
        own = devices.local_rows(size)
        self.inputs = [
            devices.shard_batch(rows[own], size, axis=0)
            for rows in in_order(examples, size, length)
        ]

    def predict(
        self, generate: Generate, params: Params, prompt: Float[Array, "P D"] | None
    ) -> list[str]:
        """The generated text for every row, in order."""
        generated = [generate(params, prompt, inputs, self.limit) for inputs in self.inputs]
        return self.texts(np.concatenate(jax.device_get(generated)))

    def texts(self, ids: Int[np.ndarray, "B L"]) -> list[str]:
        """Generated ids of the rows, and perhaps of padding after them, as text."""
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


def answer(text: str, trained: str, evaluated: str, *, sentinel: bool = False) -> str:
    """What a run trained on one task means by `text` on another, as the paper reads it.

    The sentinel that targets started with is dropped; between MRPC and QQP the label words are
    exchanged (section 5).
    """
    if sentinel:
        text = metrics.remove_sentinel(text)
    if trained != evaluated and {trained, evaluated} <= set(metrics.TRANSFER_WORDS):
        text = metrics.transfer_labels(text, task_named(trained), task_named(evaluated))
    return text
