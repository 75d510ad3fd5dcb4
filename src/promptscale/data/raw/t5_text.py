"""The paper's tasks as seqio tasks, on the T5 library's preprocessors, postprocessors and metrics.

Prompt tuning drops the task's name from the front of the text (section 3, appendix A.1); the
multi-task baseline keeps it. Zero-shot transfer between QQP and MRPC needs no task of its own: the
input is the target dataset's, and
`promptscale.evaluation.metrics.transfer_labels` renames the label words.
"""

from collections.abc import Callable
from typing import Any

import seqio
import t5.data.tasks  # noqa: F401  registers the library's tasks
import tensorflow as tf
from t5.data import preprocessors

from promptscale.config.tasks import Task
from promptscale.data.vocabulary import Vocabulary

Preprocessor = Callable[..., Any]


def _map(dataset: tf.data.Dataset, change: Callable[[dict], dict]) -> tf.data.Dataset:
    return dataset.map(change, num_parallel_calls=tf.data.AUTOTUNE)


def drop_task_name(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Deletes the first word of the inputs and the space after it."""

    def drop(example: dict) -> dict:
        return example | {"inputs": tf.strings.regex_replace(example["inputs"], "^[^ ]* ", "")}

    return _map(dataset, drop)


def mrqa_as_squad(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """MRQA's rows in the form of SQuAD's; every accepted answer is kept."""

    def rename(example: dict) -> dict:
        return {
            "id": example["qid"],
            "question": example["question"],
            "context": example["context"],
            "answers": {"text": example["answers"]},
        }

    return _map(dataset, rename)


def _label_as_right(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Gives DPR the label that scoring a referent needs: its targets are always right."""
    return _map(dataset, lambda example: example | {"label": tf.constant(1, tf.int64)})


def _prepend_sentinel(dataset: tf.data.Dataset, output_features: dict) -> tf.data.Dataset:
    sentinel = output_features["targets"].vocabulary.vocab_size - 1

    def prepend(example: dict) -> dict:
        return example | {"targets": tf.concat([[sentinel], example["targets"]], axis=0)}

    return _map(dataset, prepend)


def _library_task(task: Task, split: str) -> seqio.Task:
    name = task.seqio if split == "train" else task.seqio_eval or task.seqio
    return seqio.TaskRegistry.get(name or "squad_v010_allanswers")


def text_preprocessors(task: Task, split: str, *, keep_name: bool) -> list[Preprocessor]:
    """What turns TFDS's rows into `inputs` and `targets` strings."""
    if task.seqio is None:
        return [mrqa_as_squad, preprocessors.squad]
    steps = list(_library_task(task, split).preprocessors)
    steps = steps[: steps.index(seqio.preprocessors.tokenize)]
    if task.name == "dpr":
        steps.append(_label_as_right)
    if task.prefix and not keep_name:
        steps.append(drop_task_name)
    return steps


def seqio_task(
    task: Task,
    split: str,
    dataset: tf.data.Dataset,
    vocabulary: Vocabulary,
    *,
    keep_name: bool = False,
    sentinel: bool = False,
) -> seqio.Task:
    """A seqio task, not registered, over one split.

    Its `preprocess_precache` yields the text; its `get_dataset` token ids with EOS.

    Args:
      task: the task.
      split: our split; WSC differs between training and evaluation.
      dataset: TFDS's rows of that split.
      vocabulary: the vocabulary whose file seqio reads too.
      keep_name: keep the task's name at the front of the inputs.
      sentinel: start the target ids with `<extra_id_0>` (section 3.2); the inputs do not change.
    """
    library = _library_task(task, split)
    pieces = seqio.SentencePieceVocabulary(str(vocabulary.path), vocabulary.extra_ids)
    return seqio.Task(
        name=f"promptscale_{task.name}",
        source=seqio.FunctionDataSource(
            lambda split, shuffle_files, seed=None: dataset, splits=(split,)
        ),
        preprocessors=[
            *text_preprocessors(task, split, keep_name=keep_name),
            seqio.CacheDatasetPlaceholder(),
            seqio.preprocessors.tokenize,
            *([_prepend_sentinel] if sentinel else []),
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features={
            name: seqio.Feature(pieces, add_eos=True) for name in ("inputs", "targets")
        },
        postprocess_fn=library.postprocessor,
        metric_fns=library.metric_fns,
    )
