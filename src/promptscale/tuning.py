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
from promptscale.checkpoints.load import load
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.jobs import PromptTuningJob
from promptscale.config.tasks import task as task_named
from promptscale.data.prepared import write_rows
from promptscale.data.vocabulary import Vocabulary
from promptscale.evaluation import DevSet, Generate, answer
from promptscale.files import replacing_folder
from promptscale.model import T5, parameter_shapes
from promptscale.results import write_runs
from promptscale.supervision import (
    Job,
    Prefixes,
    batches,
    dev_sets,
    has_sentinel,
    reported_on,
    selected_by,
)
from promptscale.training import step as training_step
from promptscale.training.loop import Evaluation, Outcome, Schedule, train
from promptscale.training.methods import Params, generator, model_loss, prompt_loss
from promptscale.training.optimizer import (
    adafactor,
    restore_accumulators,
    set_trials,
    trial_adafactor,
)


@dataclasses.dataclass(frozen=True)
class Files:
    """Where a job reads and writes; `train` and `validation` are prefixes by task.

    `prompts` and `predictions` are folders, None where they are not kept: prompts of model tuning,
    and both in a hyperparameter search.
    """

    checkpoint: str
    vocabulary: Path
    train: Prefixes
    validation: Prefixes
    metrics: Path
    predictions: Path | None
    prompts: Path | None
    state: Path


@dataclasses.dataclass(frozen=True)
class Method:
    """What a job trains (leading axis N), what it leaves alone, and how to tell them apart."""

    trainable: Any
    frozen: Any
    loss: Any
    split: Callable[[Any, Any], tuple[Params, Any]]  # trainable, frozen -> params, prompt or None


def run(job: Job, files: Files) -> None:
    """Trains the job's runs together, keeps each at its best dev step, writes the results.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    settings = job.settings
    vocabulary = Vocabulary(files.vocabulary)
    checkpoint = load(files.checkpoint, parameter_shapes(job.architecture))
    model = T5(job.architecture, settings.dropout_rate, jnp.dtype(settings.activations))
    dev = dev_sets(job, files.validation, vocabulary)
    generate = generator(model, job.evaluation.decoding, max(one.limit for one in dev.values()))
    method = job_method(job, model, checkpoint, vocabulary)
    optimizer, bank = _start(job, method, checkpoint)

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
        training_step.make_step(method.loss, optimizer, settings.loss_normalizing_factor),
        bank,
        method.frozen,
        batches(job, files.train, vocabulary),
        jnp.stack([jax.random.key(one.seed) for one in job.runs]),
        Schedule(settings.steps, settings.evaluate_every, settings.save_every),
        files.state,
        job.model_dump_json(),
        evaluate,
    )
    predicted = []
    for index, (one, kept) in enumerate(zip(job.runs, outcome.kept, strict=True)):
        left = [task for task in reported_on(job, one) if task not in (kept or ())]
        predicted.append((kept or {}) | answers(outcome.trainable, index, left))
    if files.predictions is not None:
        with replacing_folder(files.predictions) as folder:
            for one, by_task in zip(job.runs, predicted, strict=True):
                for task, texts in by_task.items():
                    path = folder / one.task / f"seed_{one.seed}" / f"{task}.jsonl"
                    write_rows(path, dev[task].prediction_rows(texts))
    if files.prompts is not None:
        with replacing_folder(files.prompts) as folder:
            for one, prompt in zip(job.runs, np.asarray(outcome.trainable), strict=True):
                prompts.save(folder / one.task / f"seed_{one.seed}.npy", prompt)
    write_runs([_rows(job, outcome, dev, predicted)], files.metrics)
    files.state.unlink(missing_ok=True)


def _answers(
    job: Job,
    method: Method,
    generate: Generate,
    dev: Mapping[str, DevSet],
    trainable: Any,
    index: int,
    tasks: Sequence[str],
) -> dict[str, list[str]]:
    """The answers of the run at `index` of the bank on each of the tasks."""
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
    job: Job, method: Method, checkpoint: Checkpoint
) -> tuple[optax.GradientTransformation, training_step.Bank]:
    """The optimiser, and the bank before its first step."""
    settings = job.settings.optimizer
    offset = checkpoint.step if settings.step_offset == "checkpoint" else settings.step_offset
    trials = isinstance(job, PromptTuningJob) and job.trials
    optimizer = (trial_adafactor if trials else adafactor)(settings, offset)
    bank = training_step.start(optimizer, method.trainable)
    state = bank.optimizer
    if trials:
        state = set_trials(state, [trials[one.trial] for one in job.runs])
    elif not isinstance(job, PromptTuningJob) and job.settings.restore_accumulators:
        state = restore_accumulators(state, checkpoint.optimizer, len(job.runs))
    return optimizer, bank._replace(optimizer=state)


def job_method(job: Job, model: T5, checkpoint: Checkpoint, vocabulary: Vocabulary) -> Method:
    """The trainables of all runs as they start, and the loss that trains them."""
    settings = job.settings
    params = traverse_util.unflatten_dict(jax.tree.map(jnp.asarray, checkpoint.params), sep="/")
    if not isinstance(job, PromptTuningJob):
        stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(job.runs)), params)
        return Method(stacked, {}, model_loss(model, settings.z_loss), lambda own, _: (own, None))
    starts = [
        prompts.initialize(
            job.settings.initialization,
            # Apart from the keys of the steps' dropout.
            jax.random.fold_in(jax.random.key(one.seed), settings.steps),
            job.settings.prompt_length,
            params["token_embedder"]["embedding"],
            task_named(one.task).class_label_words,
            vocabulary.encode,
        )
        for one in job.runs
    ]
    loss = prompt_loss(model, settings.z_loss)
    return Method(jnp.stack(starts), params, loss, lambda prompt, frozen: (frozen, prompt))


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
