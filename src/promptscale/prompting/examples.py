"""Examples of a user's own task: from a table to the prepared splits that a training reads."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from promptscale.config.tasks import Task
from promptscale.data import prepared
from promptscale.data.prepared import Ragged
from promptscale.data.tables import Format, read_table
from promptscale.data.vocabulary import Vocabulary
from promptscale.errors import DataError, shortened
from promptscale.prompting.template import Template

Answers = Literal["auto", "labels", "text"]
HELD_OUT = 0.1  # the share of the examples that become the dev set
MOST_LABELS = 20  # of a task that is taken for a classification
_EXAMPLES_PER_LABEL = 2  # on average, at least


class Example(NamedTuple):
    """An input with its target, and the place in a file that they come from."""

    place: str
    input: str
    target: str


def read_examples(
    path: Path, template: Template, target_column: str, kind: Format | None = None
) -> list[Example]:
    """The examples of a table: the filled template, and the text of the target's column.

    Blanks around targets are removed.

    Raises:
      DataError: the table cannot be read, lacks a column, or has an empty target.
    """
    rows = read_table(path, kind)
    return checked(Example(row.place, template.fill(row), row.text(target_column)) for row in rows)


def checked(examples: Iterable[Example]) -> list[Example]:
    """The examples with their targets stripped of blanks.

    Raises:
      DataError: a target is empty.
    """
    stripped = [example._replace(target=example.target.strip()) for example in examples]
    for example in stripped:
        if not example.target:
            raise DataError(f"{example.place}: the target is empty; remove the row or fill it in.")
    return stripped


def digest(examples: Iterable[Example]) -> str:
    """The SHA-256 of all inputs and targets in their order."""
    state = hashlib.sha256()
    for example in examples:
        state.update(_content(example))
    return state.hexdigest()


def hold_out(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Divides examples into a training set and a dev set of about a tenth.

    The hash of an example decides, so that equal examples are on the same side, and a further
    example moves no other. Each side has at least an example.

    Raises:
      DataError: all examples are equal, or there is only one.
    """
    if not examples:
        raise DataError("The data have no examples; a tuning needs at least two.")
    places = [int.from_bytes(hashlib.sha256(_content(e)).digest()[:8]) / 2**64 for e in examples]
    if len(set(places)) < 2:
        raise DataError(
            f"{examples[0].place}: there is a single example, and a training needs another for "
            "its dev set; give more examples, or a dev set with --dev."
        )
    limit = min(max(HELD_OUT, min(places)), sorted(set(places))[-2])
    train = [example for example, place in zip(examples, places, strict=True) if place > limit]
    dev = [example for example, place in zip(examples, places, strict=True) if place <= limit]
    return train, dev


def task_of(name: str, targets: Sequence[str], answers: Answers = "auto") -> Task:
    """The task of these targets: a classification by labels, or free text.

    With `auto`, few different targets are labels. A classification is scored by its accuracy, and
    free text by F1 and exact match as SQuAD is.
    """
    labels = sorted(set(targets))
    few = len(labels) <= MOST_LABELS and len(targets) >= _EXAMPLES_PER_LABEL * len(labels)
    if answers == "labels" or (answers == "auto" and few):
        return Task(
            name=name,
            title=name,
            kind="classification",
            labels=tuple(labels),
            metrics=("accuracy",),
        )
    return Task(name=name, title=name, kind="qa", metrics=("f1", "em"))


def check_labels(task: Task, vocabulary: Vocabulary) -> None:
    """Checks that the model can write each label.

    Raises:
      DataError: the vocabulary lacks a character of a label, or writes its blanks otherwise.
    """
    for label in task.labels:
        written = vocabulary.decode(vocabulary.encode(label))
        if written != label:
            raise DataError(
                f"The model cannot write the label {label!r}: with the vocabulary "
                f"{vocabulary.path} it becomes {written!r}; choose other words for the labels."
            )


def prepare(task: Task, examples: Sequence[Example], vocabulary: Vocabulary, prefix: Path) -> None:
    """Writes a prepared split (`promptscale.data.prepared`) of a task.

    Raises:
      DataError: a target is no label of the task.
    """
    rows = []
    for number, example in enumerate(examples):
        row: dict[str, Any] = {"id": str(number)}
        row |= {"inputs": example.input, "targets": example.target}
        if task.labels and example.target not in task.labels:
            raise DataError(
                f"{example.place}: {example.target!r} is no label of {task.title}; the labels are "
                f"{shortened(task.labels, MOST_LABELS)}."
            )
        if task.labels:
            row["label"] = task.labels.index(example.target)
        elif task.kind == "wsc":
            row["label"] = 1  # the target is the referent
        else:
            row["answers"] = [example.target]
        rows.append(row)
    inputs, targets = (
        Ragged.pack(vocabulary.encode(row[side]) for row in rows) for side in ("inputs", "targets")
    )
    prepared.write(prefix, inputs, targets, rows)


def _content(example: Example) -> bytes:
    # Surrogates cannot be encoded; the vocabulary refuses them with a sentence.
    return f"{example.input}\0{example.target}\0".encode("utf-8", "surrogatepass")
