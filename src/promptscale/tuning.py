"""A tuning job from files to files: prompts on a frozen model, or the model itself, per seed."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import traverse_util
from jaxtyping import Array, Key

from promptscale import prompts
from promptscale.checkpoints.load import load
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.grid import ModelTuningJob, PromptTuningJob, adaptation_steps
from promptscale.config.tasks import task as task_named
from promptscale.data.batches import Batch, indices, padded_length, take
from promptscale.data.prepared import Examples, read, write_rows
from promptscale.data.vocabulary import Vocabulary
from promptscale.evaluation import DevSet
from promptscale.model import T5, parameter_shapes
from promptscale.results import write_runs
from promptscale.training import step as training_step
from promptscale.training.loop import Outcome, Schedule, train
from promptscale.training.methods import generator, model_loss, prompt_loss
from promptscale.training.optimizer import adafactor, restore_accumulators

log = logging.getLogger(__name__)

Job = PromptTuningJob | ModelTuningJob


@dataclasses.dataclass(frozen=True)
class Files:
    """Where a job reads and writes; `prompts` stays empty for model tuning."""

    checkpoint: str
    vocabulary: Path
    train: Path
    validation: Path
    metrics: Path
    prompts: tuple[Path, ...]
    predictions: tuple[Path, ...]
    state: Path


@dataclasses.dataclass(frozen=True)
class _Frozen:
    """What the method trains (leading axis N), what it leaves alone, and how to tell them apart."""

    trainable: Any
    frozen: Any
    loss: Any
    split: Any  # (trainable of one run, frozen) -> (params, prompt or None)


def run(job: Job, files: Files) -> None:
    """Trains the job's seeds together, keeps each at its best dev step, writes the results.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    settings, task = job.settings, task_named(job.task)
    vocabulary = Vocabulary(files.vocabulary)
    checkpoint = load(files.checkpoint, parameter_shapes(job.architecture))
    model = T5(job.architecture, settings.dropout_rate, jnp.dtype(settings.activations))
    dev = DevSet(task, read(files.validation), vocabulary, job.evaluation.batch_size)
    generate = generator(model, job.evaluation.decoding, dev.targets_length)
    keys = jnp.stack([jax.random.key(seed) for seed in job.seeds])
    method = _method(job, model, checkpoint, vocabulary, keys)

    offset = settings.optimizer.step_offset
    optimizer = adafactor(settings.optimizer, checkpoint.step if offset == "checkpoint" else offset)
    bank = training_step.start(optimizer, method.trainable)
    if isinstance(job, ModelTuningJob) and job.settings.restore_accumulators:
        bank = bank._replace(
            optimizer=restore_accumulators(bank.optimizer, checkpoint.optimizer, len(keys))
        )

    def predict(trainable: Any) -> list[list[str]]:
        runs = [jax.tree.map(lambda leaf, n=n: leaf[n], trainable) for n in range(len(keys))]
        return [dev.predict(generate, *method.split(one, method.frozen)) for one in runs]

    outcome = train(
        training_step.make_step(method.loss, optimizer, settings.loss_normalizing_factor),
        bank,
        method.frozen,
        _batches(job, read(files.train)),
        keys,
        Schedule(settings.steps, settings.evaluate_every, settings.save_every),
        files.state,
        job.model_dump_json(),
        lambda trainable: [dev.score(predictions) for predictions in predict(trainable)],
    )
    for path, predictions in zip(files.predictions, predict(outcome.trainable), strict=True):
        write_rows(path, dev.prediction_rows(predictions))
    if isinstance(job, PromptTuningJob):
        for path, prompt in zip(files.prompts, np.asarray(outcome.trainable), strict=True):
            prompts.save(path, prompt)
    _write_metrics(files.metrics, job, outcome)
    files.state.unlink(missing_ok=True)


def _method(
    job: Job, model: T5, checkpoint: Checkpoint, vocabulary: Vocabulary, keys: Key[Array, " N"]
) -> _Frozen:
    params = traverse_util.unflatten_dict(jax.tree.map(jnp.asarray, checkpoint.params), sep="/")
    if isinstance(job, ModelTuningJob):
        stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(keys)), params)
        loss = model_loss(model, job.settings.z_loss)
        return _Frozen(stacked, {}, loss, lambda params, _: (params, None))
    settings = job.settings
    embedding = params["token_embedder"]["embedding"]
    starts = [
        prompts.initialize(
            settings.initialization,
            jax.random.fold_in(key, settings.steps),  # apart from the keys of the steps' dropout
            settings.prompt_length,
            embedding,
            task_named(job.task).class_label_words,
            vocabulary.encode,
        )
        for key in keys
    ]
    loss = prompt_loss(model, settings.z_loss)
    return _Frozen(jnp.stack(starts), params, loss, lambda prompt, params: (params, prompt))


def _batches(job: Job, examples: Examples) -> Any:
    """A function from step to the batches of all seeds [N, B, ...], each in its own order."""
    settings = job.settings
    lengths = (
        padded_length(examples.inputs, settings.max_input_length),
        padded_length(examples.targets, settings.max_target_length, multiple=1),
    )

    def batch(step: int) -> Batch:
        size = settings.batch_size
        rows = [indices(seed, step, size, len(examples)) for seed in job.seeds]
        taken = take(examples, np.concatenate(rows), *lengths)
        return Batch(*(array.reshape(len(rows), size, -1) for array in taken))

    return batch


def _write_metrics(path: Path, job: Job, outcome: Outcome) -> None:
    """Writes the job's rows of `runs.csv`."""
    steps = adaptation_steps(job.base)
    prompt = job.settings if isinstance(job, PromptTuningJob) else None
    described: Mapping[str, Any] = {
        "method": job.method,
        "size": job.size,
        "task": job.task,
        "eval_task": job.task,
        "checkpoint": job.base,
        "objective": "lm_adaptation" if steps else "span_corruption",
        "adaptation_steps": steps,
        "prompt_length": prompt.prompt_length if prompt else 0,
        "initialization": prompt.initialization.method if prompt else "",
        "world": job.world,
    }
    rows = []
    for row in outcome.rows:
        seed = job.seeds[row["run"]]
        rows.append({**row, **described, "run": f"{job.name}/seed_{seed}", "seed": seed})
    write_runs([pd.DataFrame(rows)], path)
