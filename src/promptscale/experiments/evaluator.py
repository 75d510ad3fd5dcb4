"""Predictions and dev scores of the runs of a tuning job."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from promptscale.config.jobs import TuningJob
from promptscale.evaluation.dev_set import DevSet, Generate
from promptscale.training.loop import DevResult, Predictions
from promptscale.training.methods import Method


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Generates and scores predictions; `trainable` is that of all runs, with leading axis N."""

    job: TuningJob
    method: Method
    frozen: Any
    generate: Generate
    dev: Mapping[str, DevSet]

    def predict(self, trainable: Any, index: int, tasks: Sequence[str]) -> Predictions:
        """The predictions on `tasks` of the run at `index`."""
        run_trainable = jax.tree.map(lambda leaf: leaf[index], trainable)
        params, prompt = self.method.for_inference(run_trainable, self.frozen)
        trained_on = self.job.runs[index].task
        return {
            task: self.dev[task].predict(self.generate, params, prompt, trained_on)
            for task in tasks
        }

    def __call__(self, trainable: Any) -> list[DevResult]:
        """The result of every run on the tasks that select its step."""
        results = []
        for index, run in enumerate(self.job.runs):
            predictions = self.predict(trainable, index, self.job.selecting_tasks(run))
            scores = {task: self.dev[task].score(texts) for task, texts in predictions.items()}
            results.append(DevResult(scores, predictions))
        return results
