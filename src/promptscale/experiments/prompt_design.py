"""Prompt design, measured: worked examples as text before the question, the model frozen.

The paper takes GPT-3's published few-shot scores for this (Figure 1); here the frozen T5 itself is
asked. Inputs and answers of examples drawn from the training split stand before each question, an
answer ended by a separator; what the model writes is cut at the first separator, as few-shot
evaluation does with a stop sequence.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from flax import traverse_util

from promptscale.checkpoints.sharded import load_model
from promptscale.config.jobs import PromptDesignJob
from promptscale.config.tasks import task as task_named
from promptscale.data.batches import epoch_order, padded_length
from promptscale.data.prepared import Examples, read, write_rows
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed import multihost
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout
from promptscale.evaluation.dev_set import DevSet, Generate
from promptscale.experiments.task_data import Prefixes
from promptscale.inference import generator
from promptscale.model import T5
from promptscale.reporting.runs_table import write_runs
from promptscale.storage.atomic import atomic_directory


@dataclasses.dataclass(frozen=True)
class Files:
    """Where the job reads and writes; `train` and `validation` are prefixes by task."""

    checkpoint: str
    vocabulary: Path
    train: Prefixes
    validation: Prefixes
    metrics: Path
    predictions: Path


def text_prompt(
    examples: Examples, seed: int, shots: int, vocabulary: Vocabulary, separator: str
) -> list[int]:
    """The ids of `shots` worked examples, drawn from the split by `seed`."""
    end = vocabulary.encode(separator)
    chosen = epoch_order(seed, 0, len(examples))[:shots]
    return [
        int(token)
        for index in map(int, chosen)
        for token in (*examples.inputs[index], *examples.targets[index], *end)
    ]


def run(job: PromptDesignJob, files: Files, layout: Layout = SINGLE_DEVICE) -> None:
    """Scores every task with the examples that each seed draws; writes metrics and predictions.

    Of several processes all answer, and the first writes.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    vocabulary, devices = Vocabulary(files.vocabulary), Devices(layout)
    checkpoint = load_model(files.checkpoint, job.architecture, devices)
    params = traverse_util.unflatten_dict(checkpoint.params, sep="/")
    rows: list[dict[str, Any]] = []
    predictions: dict[Path, list[dict[str, Any]]] = {}
    for task in job.tasks:
        splits = read(files.train[task]), read(files.validation[task])
        for seed, dev, generate in _questions(job, task, *splits, vocabulary, devices):
            texts = dev.predict(generate, params, None)
            texts = [cut(text, job.settings.separator) for text in texts]
            path = Path(task, f"seed_{seed}", f"{task}.jsonl")
            predictions[path] = list(dev.prediction_rows(texts))
            rows += _rows(job, task, seed, dev.score(texts))
    if multihost.is_primary():
        with atomic_directory(files.predictions) as folder:
            for path, answered in predictions.items():
                write_rows(folder / path, answered)
        write_runs([pd.DataFrame(rows)], files.metrics)


def _questions(
    job: PromptDesignJob,
    task: str,
    train: Examples,
    validation: Examples,
    vocabulary: Vocabulary,
    devices: Devices,
) -> Iterator[tuple[int, DevSet, Generate]]:
    """For each seed the validation questions behind its examples, and what answers them."""
    shots, separator = job.settings.shots, job.settings.separator
    limit = padded_length(validation.targets, multiple=1) + len(vocabulary.encode(separator))
    model, place = T5(job.architecture), devices.replicated()
    generate = generator(model, job.evaluation.decoding, limit, place)
    heads = [text_prompt(train, seed, shots, vocabulary, separator) for seed in job.seeds]
    # One length for the draws of all seeds, so that they share a compiled program.
    length = padded_length(validation.inputs.prepend(max(heads, key=len)))
    for seed, head in zip(job.seeds, heads, strict=True):
        asked = dataclasses.replace(validation, inputs=validation.inputs.prepend(head))
        dev = DevSet(
            task_named(task),
            asked,
            vocabulary,
            job.evaluation.batch_size,
            inputs_length=length,
            limit=limit,
            devices=devices,
        )
        yield seed, dev, generate


def cut(text: str, separator: str) -> str:
    """What was written before the first separator."""
    return text.split(separator)[0].strip()


def _rows(job: PromptDesignJob, task: str, seed: int, scores: dict[str, float]) -> Sequence[dict]:
    common = {
        **job.description,
        "run": f"{job.stem}/{task}/seed_{seed}",
        "task": task,
        "eval_task": task,
        "seed": seed,
        "step": 0,
        "selected": True,
        "wall_seconds": 0.0,
        "accelerator_seconds": 0.0,
    }
    return [{**common, "metric": metric, "value": value} for metric, value in scores.items()]
