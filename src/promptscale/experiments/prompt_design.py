"""Prompt design, measured: worked examples as text before the question, the model frozen.

The paper takes GPT-3's published few-shot scores for this (Figure 1); here the frozen T5 itself
answers. Examples drawn from the training split precede each question, and a separator ends each of
their answers. The generated text is cut where the worked examples end an answer, as few-shot
evaluation does with a stop sequence. Class labels contain no separator, so the first separator ends
the answer. A free answer may contain it ("U.S." has full stops), so only a separator ends it that
the first word of a question follows, as in the worked examples.
"""

import dataclasses
import itertools
import logging
import re
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import traverse_util

from promptscale.checkpoints.fit import check_vocabulary
from promptscale.checkpoints.sharded import load_model
from promptscale.config.jobs import JobRun, PromptDesignJob
from promptscale.config.tasks import task as task_named
from promptscale.data.batches import epoch_order, padded_length
from promptscale.data.prepared import Examples, read, write_rows
from promptscale.data.vocabulary import UNK_ID, Vocabulary
from promptscale.distributed import multihost
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout
from promptscale.errors import DataError
from promptscale.evaluation.dev_set import DevSet
from promptscale.experiments.announcement import announce
from promptscale.experiments.task_data import Splits
from promptscale.inference import Requests, generator, input_lengths, request_shapes
from promptscale.model import T5
from promptscale.reporting.runs_table import write_runs
from promptscale.storage.atomic import atomic_directory
from promptscale.storage.events import event

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Files:
    """Where the job reads and writes (see `tuning.Files`)."""

    checkpoint: str
    vocabulary: Path
    train: Splits
    validation: Splits
    metrics: Path
    predictions: Path


def text_prompt(
    examples: Examples, seed: int, shots: int, vocabulary: Vocabulary, separator: str
) -> list[int]:
    """The ids of `shots` worked examples, drawn from the split by `seed`.

    Raises:
      DataError: there are fewer examples, or the vocabulary cannot write the separator.
    """
    end = separator_ids(vocabulary, separator)
    if len(examples) < shots:
        raise DataError(f"A prompt has {shots} worked examples, but there are {len(examples)}.")
    chosen = epoch_order(seed, 0, len(examples))[:shots]
    return [
        int(token)
        for index in map(int, chosen)
        for token in (*examples.inputs[index], *examples.targets[index], *end)
    ]


def separator_ids(vocabulary: Vocabulary, separator: str) -> list[int]:
    """The ids of the separator.

    Raises:
      DataError: the vocabulary has no pieces for it.
    """
    ids = [int(token) for token in vocabulary.encode(separator)]
    if not ids or UNK_ID in ids or vocabulary.decode(ids).strip() != separator.strip():
        raise DataError(
            f"The vocabulary cannot write prompt_design.separator, {separator!r}; choose a text "
            "that it has pieces for."
        )
    return ids


def question_word(examples: Examples, vocabulary: Vocabulary) -> str:
    """The word that a split's questions begin with, such as `question:`; empty if they differ."""
    starts = (vocabulary.decode(ids[:16]) for ids in itertools.islice(examples.inputs, 100))
    words = {start.split(" ")[0] for start in starts}
    return words.pop() if len(words) == 1 else ""


def cut(text: str, separator: str, follows: str = "") -> str:
    """The text before the first separator that `follows` follows; one at the end is removed."""
    separator = separator.strip()
    end = rf"{re.escape(separator)}\s*{re.escape(follows)}"
    return re.split(end, text, maxsplit=1)[0].strip().removesuffix(separator).strip()


def run(job: PromptDesignJob, files: Files, layout: Layout = SINGLE_DEVICE) -> None:
    """Scores every task with the examples that each seed draws; writes metrics and predictions.

    Every process of the job answers; the primary process writes.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    vocabulary, devices = Vocabulary(files.vocabulary), Devices(layout)
    check_vocabulary(files.vocabulary, vocabulary.size, job.architecture)
    announce(job)
    activations, most = job.settings.activations, job.architecture.vocab_size
    checkpoint = load_model(files.checkpoint, job.architecture, devices, activations=activations)
    params = traverse_util.unflatten_dict(checkpoint.params, sep="/")
    model = T5(job.architecture, dtype=jnp.dtype(activations))
    splits = {
        task: (read(files.train[task], most), read(files.validation[task], most))
        for task in job.tasks
    }
    dev_sets = [_dev_set(job, run, *splits[run.task], vocabulary) for run in job.runs]
    sizes = [len(dev.rows) for dev, _ in dev_sets]
    limits = [dev.limit for dev, _ in dev_sets]
    inputs = [ids for dev, _ in dev_sets for ids in dev.inputs]
    requests = Requests(
        inputs, np.zeros(len(inputs), int), np.repeat(limits, sizes), devices,
        request_shapes(input_lengths(inputs), devices, job.architecture),
    )  # fmt: skip
    generate = generator(model, job.evaluation.decoding, max(limits), devices.replicated())
    answers = np.split(requests.answer(generate, params, None), np.cumsum(sizes)[:-1])
    rows: list[dict[str, Any]] = []
    predictions: dict[Path, list[dict[str, Any]]] = {}
    for number, (job_run, (dev, follows)) in enumerate(zip(job.runs, dev_sets, strict=True)):
        texts = dev.texts(answers[number])
        texts = [cut(text, job.settings.separator, follows) for text in texts]
        task, name, scores = job_run.task, job.run_name(job_run), dev.score(texts)
        predictions[Path(task, f"seed_{job_run.seed}", f"{task}.jsonl")] = list(
            dev.prediction_rows(texts)
        )
        log.info(
            "%s: score %.4g", name, scores["score"],
            extra=event("scores", step=0, run=number, scores={task: scores}),
        )  # fmt: skip
        rows += [
            {"run": name, "seed": job_run.seed, "task": task,
             "eval_task": task, "metric": metric, "value": value}
            for metric, value in scores.items()
        ]  # fmt: skip
    if multihost.is_primary():
        with atomic_directory(files.predictions) as folder:
            for path, prediction_rows in predictions.items():
                write_rows(folder / path, prediction_rows)
        untrained = {"step": 0, "selected": True, "wall_seconds": 0.0, "accelerator_seconds": 0.0}
        write_runs([pd.DataFrame(rows).assign(**job.description, **untrained)], files.metrics)


def _dev_set(
    job: PromptDesignJob,
    job_run: JobRun,
    train: Examples,
    validation: Examples,
    vocabulary: Vocabulary,
) -> tuple[DevSet, str]:
    """The questions of a run after its worked examples, and what follows the end of an answer."""
    task, separator = task_named(job_run.task), job.settings.separator
    prefix = text_prompt(train, job_run.seed, job.settings.shots, vocabulary, separator)
    follows = "" if task.labels else question_word(train, vocabulary)
    limit = padded_length(validation.targets)
    limit += len(separator_ids(vocabulary, separator)) + len(vocabulary.encode(follows))
    questions = dataclasses.replace(validation, inputs=validation.inputs.prepend(prefix))
    return DevSet(task, questions, vocabulary, limit=limit), follows
