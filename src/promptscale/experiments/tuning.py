"""A tuning job from files to files: its runs trained together by the job's method."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pandas as pd

from promptscale.checkpoints.fit import check_vocabulary
from promptscale.config.jobs import TuningJob
from promptscale.data.prepared import write_rows
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed import multihost
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout, to_host
from promptscale.evaluation.dev_set import DevSet
from promptscale.experiments.announcement import announce
from promptscale.experiments.evaluator import Evaluator
from promptscale.experiments.task_data import Splits, batches, dev_sets
from promptscale.inference import generator
from promptscale.model import T5
from promptscale.reporting.runs_table import write_runs
from promptscale.storage.atomic import atomic_directory
from promptscale.training.loop import Predictions, Schedule, TrainingResult, train
from promptscale.training.methods import METHODS, Method
from promptscale.training.resume import State
from promptscale.training.step import Step, initial_state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a training reads, and its resume state.

    Attributes:
      checkpoint: what training starts from.
      vocabulary: the SentencePiece model.
      train: prefixes of the prepared training splits, by task.
      validation: prefixes of the prepared validation splits, by task.
      state: where the resume state lies, local or in a bucket.
      initialization: the prompt that prompts start from, if they start from a file.
      digest: of the job and its input files; a state of another digest is not resumed.
    """

    checkpoint: str
    vocabulary: Path
    train: Splits
    validation: Splits
    state: str
    initialization: Path | None = None
    digest: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files(Inputs):
    """Where a job reads and writes.

    Attributes:
      metrics: the job's rows of `runs.csv`.
      predictions: the folder of predictions; None in a hyperparameter search.
      prompts: the folder of what the method saves of each run; None: it is not saved.
    """

    metrics: Path
    predictions: Path | None
    prompts: Path | None


class Trained(NamedTuple):
    """What the training of a job's runs leaves.

    Attributes:
      method: the job's method, which saves what it trained.
      result: the selected steps, and the scores of all evaluations.
      dev: the dev sets by task.
      predictions: each run's on its reported tasks, at its selected step.
      state: the resume state, which the caller deletes when all results are written.
    """

    method: Method
    result: TrainingResult
    dev: Mapping[str, DevSet]
    predictions: Sequence[Predictions]
    state: State

    def save(self, run: int, path: Path) -> None:
        """Writes what the method saves of a run, by its number; `path` has no suffix."""

        def of_run(leaf: jax.Array) -> Any:
            # The primary process calls this alone, so no program may run on the arrays of several.
            return (leaf if leaf.is_fully_addressable else to_host(leaf))[run]

        self.method.save(jax.tree.map(of_run, self.result.trainable), path)


def run(job: TuningJob, files: Files, layout: Layout = SINGLE_DEVICE) -> None:
    """Trains the job's runs together, selects each run's best dev step and writes the results.

    Every process of the job trains; the primary process writes.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    trained = train_runs(job, files, layout)
    if multihost.is_primary():
        _write(job, files, trained)
    trained.state.delete()


def train_runs(job: TuningJob, files: Inputs, layout: Layout = SINGLE_DEVICE) -> Trained:
    """Trains the job's runs together, and answers their reported tasks at the best dev steps.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit, or another process
        trains with the same resume state.
    """
    settings = job.settings
    vocabulary = Vocabulary(files.vocabulary)
    check_vocabulary(files.vocabulary, vocabulary.size, job.architecture)
    devices = Devices(layout)
    announce(job, settings.steps)
    model = T5(job.architecture, settings.dropout_rate, jnp.dtype(settings.activations))
    method = METHODS[job.method](job, model, vocabulary, files.initialization)
    dev = dev_sets(job, files.validation, vocabulary)
    limit = max(dev_set.limit for dev_set in dev.values())
    generate = generator(model, job.evaluation.decoding, limit, devices.replicated())
    start = method.start(files.checkpoint, devices)
    evaluate = Evaluator(job, method, start.frozen, generate, dev, devices)
    state = State(files.state, f"{job.model_dump_json()} {files.digest}")
    result = train(
        Step(method.loss, method.shared, settings.loss_normalizing_factor),
        initial_state(start, job.optimizers, devices),
        start.frozen,
        batches(job, files.train, vocabulary, devices, shared=method.shared),
        devices.keys([run.seed for run in job.runs]),
        Schedule(
            settings.steps,
            settings.evaluate_every,
            settings.save_every,
            patience=settings.patience,
        ),
        state,
        evaluate,
        devices.peak_flops,
    )
    missing = tuple(
        tuple(task for task in job.reported_tasks(job_run) if task not in selected)
        for job_run, selected in zip(job.runs, result.predictions, strict=True)
    )
    others = evaluate.predict(result.trainable, missing)
    predictions = [{**x, **y} for x, y in zip(result.predictions, others, strict=True)]
    return Trained(method, result, dev, predictions, state)


def _write(job: TuningJob, files: Files, trained: Trained) -> None:
    """Writes predictions, what the method saves, and last the metrics."""
    _, result, dev, predictions, _ = trained
    if files.predictions is not None:
        with atomic_directory(files.predictions) as folder:
            for job_run, by_task in zip(job.runs, predictions, strict=True):
                for task, texts in by_task.items():
                    path = folder / job_run.task / f"seed_{job_run.seed}" / f"{task}.jsonl"
                    write_rows(path, dev[task].prediction_rows(texts))
    if files.prompts is not None:
        with atomic_directory(files.prompts) as folder:
            for index, job_run in enumerate(job.runs):
                trained.save(index, folder / job_run.task / f"seed_{job_run.seed}")
    write_runs([_rows(job, result, dev, predictions)], files.metrics)


def _rows(
    job: TuningJob,
    result: TrainingResult,
    dev: Mapping[str, DevSet],
    predictions: Sequence[Predictions],
) -> pd.DataFrame:
    """The job's rows of `runs.csv`; transfer tasks are scored at the selected step."""
    rows = []
    for index, job_run in enumerate(job.runs):
        run_rows = [row for row in result.rows if row["run"] == index]
        selected = next(row for row in run_rows if row["selected"])
        selecting = job.selecting_tasks(job_run)
        for task, texts in predictions[index].items():
            if task not in selecting:
                run_rows += [
                    {**selected, "eval_task": task, "metric": metric, "value": value}
                    for metric, value in dev[task].score(texts).items()
                ]
        names = {"run": job.run_name(job_run), "task": job_run.task, "seed": job_run.seed}
        rows += [{**row, "eval_task": row["eval_task"] or job_run.task, **names}
                 for row in run_rows]  # fmt: skip
    return pd.DataFrame(rows).assign(**job.description)
