"""Evaluation as the paper does it: free generation, exact text, the task's metrics."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from promptscale.config.tasks import Task
from promptscale.config.tasks import task as task_named
from promptscale.data.batches import padded_length
from promptscale.data.prepared import Examples
from promptscale.data.vocabulary import Vocabulary
from promptscale.evaluation import metrics


class DevSet:
    """A validation split: inputs to answer, and rows for the metrics.

    Inputs are never cut, and as many tokens are generated as the longest target has, as in the
    authors' code.
    """

    def __init__(
        self,
        task: Task,
        examples: Examples,
        vocabulary: Vocabulary,
        *,
        limit: int = 0,
        sentinel: bool = False,
    ) -> None:
        """At least `limit` tokens are generated.

        `sentinel` says whether the targets of training started with `<extra_id_0>`.
        """
        self.task = task
        self.inputs = list(examples.inputs)
        self.rows = examples.rows()
        self.limit = max(padded_length(examples.targets), limit)
        self._vocabulary = vocabulary
        self._sentinel = sentinel

    def texts(self, answers: Int[np.ndarray, "B L"], trained_on: str | None = None) -> list[str]:
        """The predicted text of every row, from the generated ids.

        `trained_on` is the task whose labels the model writes, if not this task's.
        """
        return [
            self._interpret(self._vocabulary.decode(row), trained_on or self.task.name)
            for row in answers
        ]

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
