"""Evaluation as the paper does it: free generation, exact text, the task's metrics."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
from jaxtyping import Array, Float

from promptscale.config.tasks import Task
from promptscale.config.tasks import task as task_named
from promptscale.data.batches import by_length, padded_length
from promptscale.data.prepared import Examples
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.evaluation import metrics
from promptscale.inference import DECODED_POSITIONS, Params

Generate = Callable[..., Array]  # (params, prompt or None, inputs [B, S], limit) -> ids [B, T]

_EXAMPLES = 128  # of a batch, at most


class DevSet:
    """A validation split: padded inputs on the devices, and rows for the metrics.

    Inputs are never cut, and as many tokens are generated as the longest target has, as in the
    authors' code.
    """

    def __init__(
        self,
        task: Task,
        examples: Examples,
        vocabulary: Vocabulary,
        *,
        prompt_length: int = 0,
        limit: int = 0,
        sentinel: bool = False,
        devices: Devices,
    ) -> None:
        """Sorts the inputs by length and pads them in batches, sharded over the `data` axis.

        A batch has a bounded number of encoder positions, with the `prompt_length` of each row. At
        least `limit` tokens are generated. `sentinel` says whether the targets of training
        started with `<extra_id_0>`.
        """
        self.task = task
        self.rows = examples.rows()
        self.limit = max(padded_length(examples.targets, multiple=1), limit)
        self._vocabulary = vocabulary
        self._sentinel = sentinel
        batches = list(
            by_length(
                examples.inputs,
                min(_EXAMPLES, len(examples)),
                DECODED_POSITIONS,
                before=prompt_length,
                multiple=devices.data_axis,
            )
        )
        self._places = [batch.examples for batch in batches]
        self._inputs = [
            devices.shard_batch(ids[devices.local_rows(len(ids))], len(ids), axis=0)
            for _, ids in batches
        ]

    def predict(
        self,
        generate: Generate,
        params: Params,
        prompt: Float[Array, "P D"] | None,
        trained_on: str | None = None,
    ) -> list[str]:
        """The predicted text for every row, in order; `generate` is from `inference.generator`.

        `trained_on` is the task whose labels the model writes, if not this task's.
        """
        ids = [generate(params, prompt, inputs, self.limit) for inputs in self._inputs]
        texts = [""] * len(self.rows)
        for places, rows in zip(self._places, jax.device_get(ids), strict=True):
            for place, row in zip(places, rows, strict=False):  # empty rows end a batch
                text = self._vocabulary.decode(row)
                texts[place] = self._interpret(text, trained_on or self.task.name)
        return texts

    def score(self, predictions: Sequence[str]) -> dict[str, float]:
        """The task's metrics (0 to 100) and `score`, their mean."""
        return metrics.score(self.task, predictions, self.rows)

    def prediction_rows(self, predictions: Iterable[str]) -> Iterable[dict[str, Any]]:
        """A row per example for people to read: input, target, prediction, correct or not."""
        for row, prediction in zip(self.rows, predictions, strict=True):
            yield {
                "id": row["id"],
                "inputs": row["inputs"],
                "targets": row["targets"],
                "prediction": prediction,
                "correct": metrics.correct(self.task, prediction, row),
            }

    def _interpret(self, text: str, trained_on: str) -> str:
        """A generated text as a prediction: without the sentinel, with this task's labels.

        Between MRPC and QQP the labels are exchanged (section 5).
        """
        if self._sentinel:
            text = metrics.remove_sentinel(text)
        tasks = {trained_on, self.task.name}
        if len(tasks) == 2 and tasks <= set(metrics.TRANSFER_WORDS):
            text = metrics.transfer_labels(text, task_named(trained_on), self.task)
        return text
