"""Preparation of splits of tasks: TFDS's rows to token arrays on disk.

Files are written atomically, and the same input gives the same bytes.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from promptscale.config.schema import Data
from promptscale.config.tasks import Task
from promptscale.data import prepared
from promptscale.data.prepared import Ragged
from promptscale.data.raw.sources import named_faults, open_split
from promptscale.data.raw.t5_text import to_text
from promptscale.data.vocabulary import Vocabulary
from promptscale.errors import DataError
from promptscale.storage.events import counted

_BATCH = 1024
_FIELDS = ("inputs", "targets", "label", "answers", "id", "idx")


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return [_text(item) for item in value] if isinstance(value, list) else value


def _examples(dataset: tf.data.Dataset) -> Iterator[dict[str, Any]]:
    """The fields that preparation needs as Python values, converted a batch at a time for speed."""
    spec: Any = dataset.element_spec
    names = [name for name in spec if name.split("/")[0] in _FIELDS]
    batches = dataset.map(lambda example: {name: example[name] for name in names})
    for batch in batches.ragged_batch(_BATCH).prefetch(2):
        columns = [
            value.to_list() if isinstance(value, tf.RaggedTensor) else value.numpy().tolist()
            for value in (batch[name] for name in names)
        ]
        for values in zip(*columns, strict=True):
            yield {name: _text(value) for name, value in zip(names, values, strict=True)}


def _row(task: Task, example: Mapping[str, Any], position: int) -> dict[str, Any]:
    """The row of the `.jsonl` file: the texts and the fields that the metrics need.

    Raises:
      DataError: the example has no label or answer, or a label that the task does not have.
    """
    label, answers = example.get("label", 0), example.get("answers")
    row: dict[str, Any] = {"id": str(example.get("id", example.get("idx", position)))}
    row |= {field: example[field] for field in ("inputs", "targets")}
    if task.kind in ("classification", "multirc"):
        if example["targets"] not in task.labels:
            raise DataError(
                f"{task.title} has the label {example['targets']!r} where only "
                f"{', '.join(task.labels)} are possible; is this an unlabelled split?"
            )
        row["label"] = task.labels.index(example["targets"])
    elif task.kind == "wsc":
        row["label"] = label
    else:
        row["answers"] = answers
    if label == -1 or answers == []:
        raise DataError(
            f"{task.title} has no label or answer for the example {row['id']}; is this an "
            "unlabelled split?"
        )
    if task.kind == "multirc":
        row["group"] = f"{example['idx/paragraph']}-{example['idx/question']}"
        row["id"] = f"{row['group']}-{example['idx/answer']}"
    if task.kind == "record":
        row["group"] = f"{example['idx/passage']}-{example['idx/query']}"
        row["id"] = f"{row['group']}-{row['answers'].index(example['targets'])}"
    return row


def prepare(task: Task, split: str, data: Data, vocabulary: Vocabulary, prefix: Path) -> None:
    """Writes our `split` of a task to `PREFIX.safetensors` and `PREFIX.jsonl`.

    Inputs have no task name and targets no sentinel. A run that needs either prepends its ids
    (`Ragged.prepend`), which gives the ids of the whole text as no piece contains an inner space.

    Raises:
      DataError: the dataset is missing, incomplete or damaged.
      ConfigError: the task has no such split.
    """
    what = f"{task.title} ({split}) in {data.local_files or data.data_dir}"
    with open_split(task, split, data) as dataset, named_faults(what):
        examples = _examples(to_text(task, split, dataset))
        rows = [
            _row(task, example, position)
            for position, example in enumerate(counted(examples, f"{task.name}/{split}"))
        ]
    if not rows:
        raise DataError(f"{what} has no examples after its preparation.")
    inputs = Ragged.pack(vocabulary.encode(row["inputs"]) for row in rows)
    targets = Ragged.pack(vocabulary.encode(row["targets"]) for row in rows)
    prepared.write(prefix, inputs, targets, rows)
