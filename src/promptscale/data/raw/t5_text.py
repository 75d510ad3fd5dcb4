"""The text of the paper's tasks, made by the T5 library's preprocessors.

The task's name is dropped from the front of the inputs (section 3, appendix A.1). Multi-task
tuning puts it back before the token ids. Zero-shot transfer between QQP and MRPC uses the target
dataset's inputs; `promptscale.evaluation.metrics.transfer_labels` renames the label words.
"""

import functools

import seqio
import t5.data.tasks  # noqa: F401  registers the library's tasks
import tensorflow as tf
from t5.data import preprocessors

from promptscale.config.tasks import Task


def _drop_task_name(example: dict) -> dict:
    return example | {"inputs": tf.strings.regex_replace(example["inputs"], "^[^ ]* ", "")}


def _mrqa_as_squad(example: dict) -> dict:
    """Gives a row of MRQA the fields of SQuAD, with every accepted answer."""
    return {
        "id": example["qid"],
        "question": example["question"],
        "context": example["context"],
        "answers": {"text": example["answers"]},
    }


def to_text(task: Task, split: str, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Adds the strings `inputs` and `targets` to TFDS's rows of our `split` of a task.

    The split matters for WSC, whose training and evaluation have different preprocessors.
    """
    if task.seqio is None:
        return preprocessors.squad(dataset.map(_mrqa_as_squad, tf.data.AUTOTUNE))
    name = task.seqio if split == "train" else task.seqio_eval or task.seqio
    steps = seqio.TaskRegistry.get(name).preprocessors
    text_steps = steps[: steps.index(seqio.preprocessors.tokenize)]
    dataset = functools.reduce(lambda rows, step: step(rows), text_steps, dataset)
    if task.name == "dpr":
        # Scoring a referent needs a label; DPR's targets are always right.
        dataset = dataset.map(lambda example: example | {"label": tf.constant(1, tf.int64)})
    return dataset.map(_drop_task_name, tf.data.AUTOTUNE) if task.prefix else dataset
