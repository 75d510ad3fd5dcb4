"""One preparation job per task and split: from TFDS through seqio to token arrays on disk.

Nothing appears under a final name before it is whole, and the same input gives the same bytes.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from promptscale.config.tasks import Task
from promptscale.data import prepared
from promptscale.data.corpus import write_text
from promptscale.data.raw.sources import Source, open_split, read_texts
from promptscale.data.raw.t5_text import seqio_task
from promptscale.data.vocabulary import Vocabulary
from promptscale.errors import DataError

_BATCH = 1024
_FIELDS = ("inputs", "targets", "label", "answers", "id", "idx")


def _text(value: Any) -> Any:
    """Bytes, or lists of bytes, as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return [_text(item) for item in value] if isinstance(value, list) else value


def _examples(dataset: tf.data.Dataset) -> Iterator[dict[str, Any]]:
    """The fields that preparation needs, as Python values; TensorFlow is crossed once per batch."""
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
    """The row kept beside the ids: texts and what the metrics need.

    Raises:
      DataError: the example has no label.
    """
    row: dict[str, Any] = {
        "id": str(example.get("id", example.get("idx", position))),
        "inputs": example["inputs"],
        "targets": example["targets"],
    }
    if task.kind in ("classification", "multirc"):
        if example["targets"] not in task.labels:
            raise DataError(
                f"{task.title} has the label {example['targets']!r} where only "
                f"{', '.join(task.labels)} are possible; is this an unlabelled split?"
            )
        row["label"] = task.labels.index(example["targets"])
    elif task.kind == "wsc":
        row["label"] = example["label"]
    else:
        row["answers"] = example["answers"]
    if task.kind == "multirc":
        row["group"] = f"{example['idx/paragraph']}-{example['idx/question']}"
        row["id"] = f"{row['group']}-{example['idx/answer']}"
    if task.kind == "record":
        row["group"] = f"{example['idx/passage']}-{example['idx/query']}"
        row["id"] = f"{row['group']}-{row['answers'].index(example['targets'])}"
    return row


def prepare(
    task: Task,
    split: str,
    source: Source,
    vocabulary: Vocabulary,
    prefix: Path,
) -> None:
    """Writes one split of one task to `PREFIX.safetensors` and `PREFIX.jsonl`.

    The text is prompt tuning's: without the task's name, targets without a sentinel. Both are put
    before the ids where a run wants them (`Ragged.after`); pieces do not reach across spaces.

    Args:
      task: the task.
      split: our split, `train` or `validation`.
      source: where the rows come from.
      vocabulary: the tokens.
      prefix: where to write.
    Raises:
      DataError: the dataset is missing, incomplete or damaged.
      ConfigError: the task has no such split.
    """
    inputs: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    rows: list[dict[str, Any]] = []
    with open_split(task, split, source) as dataset:
        pipeline = seqio_task(task, split, dataset, vocabulary)
        for position, example in enumerate(_examples(pipeline.preprocess_precache(dataset))):
            row = _row(task, example, position)
            inputs.append(np.array(vocabulary.encode(row["inputs"]), np.uint32))
            targets.append(np.array(vocabulary.encode(row["targets"]), np.uint32))
            rows.append(row)
    prepared.write(prefix, prepared.Ragged.pack(inputs), prepared.Ragged.pack(targets), rows)


def prepare_text(
    corpus: str,
    split: str,
    source: Source,
    vocabulary: Vocabulary,
    path: Path,
    *,
    shard: int = 0,
    num_shards: int = 1,
) -> None:
    """Writes one slice of a text corpus, a document per span, for the pre-training objectives.

    Args:
      corpus: a TFDS name with its version, such as `c4/en:3.1.0`; its feature `text` is read.
      split: its split.
      source: where it comes from.
      vocabulary: the tokens.
      path: the `.safetensors` file to write.
      shard: which slice, from 0.
      num_shards: how many slices there are; each is a job of its own.
    Raises:
      DataError: the corpus is missing.
    """
    texts = read_texts(corpus, split, source, shard, num_shards)
    documents = (np.array(vocabulary.encode(text), np.uint32) for text in texts)
    write_text(path, prepared.Ragged.pack(documents))
