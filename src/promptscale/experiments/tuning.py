"""A tuning job from files to files: prompts on a frozen model, or the model itself, per run."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from flax import traverse_util

from promptscale import prompts
from promptscale.checkpoints.read import read_embedding
from promptscale.checkpoints.sharded import load_model
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.jobs import PromptTuningJob
from promptscale.config.tasks import task as task_named
from promptscale.data.prepared import write_rows
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed import multihost
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout
from promptscale.evaluation.dev_set import DevSet, Generate, answer
from promptscale.experiments.task_data import (
    Job,
    Prefixes,
    batches,
    dev_sets,
    has_sentinel,
    reported_on,
    selected_by,
)
from promptscale.inference import Params, generator
from promptscale.model import T5
from promptscale.reporting.runs_table import write_runs
from promptscale.storage.atomic import atomic_directory
from promptscale.training import step as training_step
from promptscale.training.loop import Evaluation, Outcome, Schedule, train
from promptscale.training.methods import model_loss, prompt_loss
from promptscale.training.optimizer import (
    adafactor,
    restore_accumulators,
    set_trials,
    trial_adafactor,
)
from promptscale.training.resume import State


@dataclasses.dataclass(frozen=True)
class Files:
    """Where a job reads and writes; `train` and `validation` are prefixes by task.

    `prompts` and `predictions` are folders, None where they are not kept: prompts of model tuning,
    and both in a hyperparameter search. `initialization`: the prompt that prompts start from.
    """

    checkpoint: str
    vocabulary: Path
    train: Prefixes
    validation: Prefixes
    metrics: Path
    predictions: Path | None
    prompts: Path | None
    state: str
    initialization: Path | None = None


@dataclasses.dataclass(frozen=True)
class Method:
    """What a job trains (leading axis N), what it leaves alone, and how to tell them apart."""

    trainable: Any
    frozen: Any
    loss: Any
    split: Callable[[Any, Any], tuple[Params, Any]]  # trainable, frozen -> params, prompt or None


def run(job: Job, files: Files, layout: Layout = SINGLE_DEVICE) -> None:
    """Trains the job's runs together, keeps each at its best dev step, writes the results.

    Of several processes all train, and the first writes.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    settings = job.settings
    vocabulary = Vocabulary(files.vocabulary)
    devices = Devices(layout)
    model = T5(job.architecture, settings.dropout_rate, jnp.dtype(settings.activations))
    dev = dev_sets(job, files.validation, vocabulary, devices)
    limit = max(one.limit for one in dev.values())
    generate = generator(model, job.evaluation.decoding, limit, devices.replicated())
    frozen = isinstance(job, PromptTuningJob)
    checkpoint = load_model(
        files.checkpoint,
        job.architecture,
        devices,
        activations=settings.activations if frozen else "float32",
        with_optimizer=not frozen,
        runs=None if frozen else len(job.runs),
    )
    method = job_method(job, model, checkpoint, files, devices)
    optimizer, train_state = _start(job, method, checkpoint, devices)
    state = State(files.state, job.model_dump_json())

    def answers(trainable: Any, index: int, tasks: Sequence[str]) -> dict[str, list[str]]:
        return _answers(job, method, generate, dev, trainable, index, tasks)

    def evaluate(trainable: Any) -> list[Evaluation]:
        found = [
            answers(trainable, index, selected_by(job, one)) for index, one in enumerate(job.runs)
        ]
        return [
            Evaluation({task: dev[task].score(texts) for task, texts in by_task.items()}, by_task)
            for by_task in found
        ]

    outcome = train(
        training_step.make_step(
            method.loss, optimizer, settings.loss_normalizing_factor, devices.examples_at_a_time
        ),
        train_state,
        method.frozen,
        batches(job, files.train, vocabulary, devices),
        devices.keys([one.seed for one in job.runs]),
        Schedule(settings.steps, settings.evaluate_every, settings.save_every),
        state,
        evaluate,
    )
    predicted = []
    for index, (one, kept) in enumerate(zip(job.runs, outcome.kept, strict=True)):
        left = [task for task in reported_on(job, one) if task not in (kept or ())]
        predicted.append((kept or {}) | answers(outcome.trainable, index, left))
    if multihost.is_primary():
        _write(job, files, outcome, dev, predicted)
    state.delete()


def _write(
    job: Job,
    files: Files,
    outcome: Outcome,
    dev: Mapping[str, DevSet],
    predicted: Sequence[Mapping[str, Sequence[str]]],
) -> None:
    """The job's results: predictions and prompts where they are kept, and last its metrics."""
    if files.predictions is not None:
        with atomic_directory(files.predictions) as folder:
            for one, by_task in zip(job.runs, predicted, strict=True):
                for task, texts in by_task.items():
                    path = folder / one.task / f"seed_{one.seed}" / f"{task}.jsonl"
                    write_rows(path, dev[task].prediction_rows(texts))
    if files.prompts is not None:
        with atomic_directory(files.prompts) as folder:
            for one, prompt in zip(job.runs, np.asarray(outcome.trainable), strict=True):
                prompts.save(folder / one.task / f"seed_{one.seed}.npy", prompt)
    write_runs([_rows(job, outcome, dev, predicted)], files.metrics)


def _answers(
    job: Job,
    method: Method,
    generate: Generate,
    dev: Mapping[str, DevSet],
    trainable: Any,
    index: int,
    tasks: Sequence[str],
) -> dict[str, list[str]]:
    """The answers of the run at `index` of the batch on each of the tasks."""
    one = job.runs[index]
    own = jax.tree.map(lambda leaf: leaf[index], trainable)
    params, prompt = method.split(own, method.frozen)
    return {
        task: [
            answer(text, one.task, task, sentinel=has_sentinel(job))
            for text in dev[task].predict(generate, params, prompt)
        ]
        for task in tasks
    }


def _start(
    job: Job, method: Method, checkpoint: Checkpoint, devices: Devices
) -> tuple[optax.GradientTransformation, training_step.TrainState]:
    """The optimiser, and the state before its first step."""
    settings = job.settings.optimizer
    offset = checkpoint.step if settings.step_offset == "checkpoint" else settings.step_offset
    trials = isinstance(job, PromptTuningJob) and job.trials
    optimizer = (trial_adafactor if trials else adafactor)(settings, offset)
    train_state = training_step.start(optimizer, method.trainable, devices)
    state = train_state.optimizer
    if trials:
        state = devices.replicate(set_trials(state, [trials[one.trial] for one in job.runs]))
    elif not isinstance(job, PromptTuningJob) and job.settings.restore_accumulators:
        state = devices.replicate(restore_accumulators(state, checkpoint.optimizer, len(job.runs)))
    return optimizer, train_state._replace(optimizer=state)


def job_method(
    job: Job, model: T5, checkpoint: Checkpoint, files: Files, devices: Devices
) -> Method:
    """The trainables of all runs as they start, and the loss that trains them."""
    settings = job.settings
    params = traverse_util.unflatten_dict(checkpoint.params, sep="/")
    if not isinstance(job, PromptTuningJob):
        return Method(params, {}, model_loss(model, settings.z_loss), lambda own, _: (own, None))
    embedding = read_embedding(files.checkpoint)
    encode = Vocabulary(files.vocabulary).encode
    starts = [
        prompts.initialize(
            job.settings.initialization,
            # Apart from the keys of the steps' dropout.
            jax.random.fold_in(jax.random.key(one.seed), settings.steps),
            job.settings.prompt_length,
            embedding,
            task_named(one.task).class_label_words,
            encode,
            files.initialization,
        )
        for one in job.runs
    ]
    trainable = devices.replicate(np.stack(starts))
    loss = prompt_loss(model, settings.z_loss)
    return Method(trainable, params, loss, lambda prompt, frozen: (frozen, prompt))


def _rows(
    job: Job,
    outcome: Outcome,
    dev: Mapping[str, DevSet],
    predicted: Sequence[Mapping[str, Sequence[str]]],
) -> pd.DataFrame:
    """The job's rows of `runs.csv`; further tasks are scored at the selected step."""
    rows = []
    for index, one in enumerate(job.runs):
        own = [row for row in outcome.rows if row["run"] == index]
        kept = next(row for row in own if row["selected"])
        selects = selected_by(job, one)
        for task, texts in predicted[index].items():
            if task not in selects:
                shifted = dev[task].score(texts)
                own += [
                    {**kept, "eval_task": task, "metric": metric, "value": value}
                    for metric, value in shifted.items()
                ]
        named = {"run": job.run_name(one), "task": one.task, "seed": one.seed}
        rows += [{**row, "eval_task": row["eval_task"] or one.task, **named} for row in own]
    return pd.DataFrame(rows).assign(**job.description)
