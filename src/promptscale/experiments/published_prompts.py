"""Prompts that others trained and published, evaluated as our own are at the end of a training.

The authors of the paper published three prompts for T5 1.1 Base after 100K steps of LM adaptation,
with their scores. Whoever has that checkpoint can compare its scores here with theirs: everything
between a checkpoint's file and a score takes part in it except the training.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd

from promptscale import prompts
from promptscale.checkpoints.fit import check_vocabulary
from promptscale.config.jobs import PromptTuningJob
from promptscale.data.prepared import write_rows
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed import multihost
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout
from promptscale.experiments.announcement import announce
from promptscale.experiments.evaluator import Evaluator
from promptscale.experiments.task_data import Splits, dev_sets
from promptscale.inference import generator
from promptscale.model import T5
from promptscale.storage.atomic import atomic_directory, atomic_write
from promptscale.training.methods import METHODS


@dataclasses.dataclass(frozen=True)
class Files:
    """Where the evaluation reads and writes; `prompts` and `validation` are by task."""

    checkpoint: str
    vocabulary: Path
    prompts: Mapping[str, Path]
    validation: Splits
    table: Path
    predictions: Path


def run(job: PromptTuningJob, files: Files, layout: Layout = SINGLE_DEVICE) -> None:
    """Scores the published prompt of each task; writes a row per task and metric.

    `job` gives the model, the tasks and the evaluation; a run of it is a published prompt, and
    nothing is trained. Every process of the job answers; the primary process writes.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    settings, shape = job.settings, (job.prompt_length, job.architecture.d_model)
    published = np.stack([prompts.load(files.prompts[run.task], shape) for run in job.runs])
    vocabulary, devices = Vocabulary(files.vocabulary), Devices(layout)
    check_vocabulary(files.vocabulary, vocabulary.size, job.architecture)
    announce(job)
    model = T5(job.architecture, dtype=jnp.dtype(settings.activations))
    method = METHODS[job.method](job, model, vocabulary)
    dev = dev_sets(job, files.validation, vocabulary)
    limit = max(dev_set.limit for dev_set in dev.values())
    generate = generator(model, job.evaluation.decoding, limit, devices.replicated())
    frozen = method.start(files.checkpoint, devices).frozen
    results = Evaluator(job, method, frozen, generate, dev, devices)(devices.replicate(published))
    if not multihost.is_primary():
        return
    rows = [
        {"task": task, "metric": metric, "value": value, "examples": len(dev[task].rows)}
        for result in results
        for task, scores in result.scores.items()
        for metric, value in scores.items()
        if metric != "score"
    ]
    with atomic_directory(files.predictions) as folder:
        for result in results:
            for task, texts in result.predictions.items():
                write_rows(folder / f"{task}.jsonl", dev[task].prediction_rows(texts))
    described = {name: getattr(job, name) for name in ("size", "checkpoint", "origin", "label")}
    with atomic_write(files.table) as partial:
        pd.DataFrame(rows).assign(**described).to_csv(partial, index=False)
