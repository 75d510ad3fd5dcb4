"""Predictions and dev scores of the runs of a tuning job."""

import functools
from collections.abc import Mapping, Sequence, Set
from typing import Any

import jax
import numpy as np

from promptscale.config.jobs import TuningJob
from promptscale.data.shapes import Shape
from promptscale.distributed.mesh import Devices
from promptscale.evaluation.dev_set import DevSet
from promptscale.inference import Generate, Requests, input_lengths, request_shapes
from promptscale.training.loop import DevResult, Predictions
from promptscale.training.methods import Method

TasksOfRuns = tuple[tuple[str, ...], ...]  # for each run


class Evaluator:
    """Generates and scores predictions; `trainable` is that of all runs, with leading axis N.

    Runs that share the model answer together, as a prompt ensemble does in section 6: the examples
    of all their dev sets form a pool, each after the prompt of its run.
    """

    def __init__(
        self,
        job: TuningJob,
        method: Method,
        frozen: Any,
        generate: Generate,
        dev: Mapping[str, DevSet],
        devices: Devices,
    ) -> None:
        """Takes the job, its method, what its runs leave alone, the generator and the dev sets."""
        self._job, self._method, self._frozen = job, method, frozen
        self._generate, self._dev, self._devices = generate, dev, devices
        self._evaluations = -(-job.settings.steps // job.settings.evaluate_every)
        self._compiled: Set[Shape] = frozenset()  # the shapes of earlier requests
        # The requests of the selecting tasks stay on the devices between evaluations.
        self._requests = functools.lru_cache(maxsize=len(job.runs))(self._make_requests)

    def predict(self, trainable: Any, tasks: TasksOfRuns, times: int = 1) -> list[Predictions]:
        """The predictions of each run on its tasks, which are asked for so many times in all."""
        if self._method.shared:
            return self._answer(trainable, tasks, range(len(tasks)), times)
        predictions = []
        for run, names in enumerate(tasks):
            run_trainable = jax.tree.map(lambda leaf, run=run: leaf[run], trainable)
            predictions += self._answer(run_trainable, (names,), [run], times)
        return predictions

    def __call__(self, trainable: Any) -> list[DevResult]:
        """The result of every run on the tasks that select its step."""
        tasks = tuple(tuple(self._job.selecting_tasks(run)) for run in self._job.runs)
        return [
            DevResult(
                {task: self._dev[task].score(texts) for task, texts in answers.items()}, answers
            )
            for answers in self.predict(trainable, tasks, self._evaluations)
        ]

    def _answer(
        self, trainable: Any, tasks: TasksOfRuns, runs: Sequence[int], times: int
    ) -> list[Predictions]:
        """The predictions of the `runs`, whose trained arrays are `trainable`."""
        if not any(tasks):
            return [{} for _ in tasks]
        model = self._method.for_inference(trainable, self._frozen)
        answers = self._requests(tasks, times).answer(self._generate, *model)
        predictions: list[Predictions] = []
        start = 0
        for run, names in zip(runs, tasks, strict=True):
            texts = {}
            for task in names:
                dev = self._dev[task]
                end = start + len(dev.rows)
                texts[task] = dev.texts(answers[start:end], self._job.runs[run].task)
                start = end
            predictions.append(texts)
        return predictions

    def _make_requests(self, tasks: TasksOfRuns, times: int) -> Requests:
        """The inputs of the dev sets of all runs, laid end to end."""
        pairs = [(run, self._dev[task]) for run, names in enumerate(tasks) for task in names]
        sizes = [len(dev.rows) for _, dev in pairs]
        inputs = [ids for _, dev in pairs for ids in dev.inputs]
        shapes = request_shapes(
            input_lengths(inputs),
            self._devices,
            self._job.architecture,
            self._job.prompt_length,
            times,
            compiled=self._compiled,
        )
        self._compiled |= shapes.choice
        return Requests(
            inputs,
            np.repeat([run for run, _ in pairs], sizes),
            np.repeat([dev.limit for _, dev in pairs], sizes),
            self._devices,
            shapes,
        )
