"""The paper's tasks, from the package's tasks.yaml: labels, prompt words, metrics and sources."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from promptscale.config.values import Strict
from promptscale.errors import ConfigError


class Task(Strict):
    """A task: its targets, its metrics and the source of its rows.

    Attributes:
      name: the short name used in configurations and paths.
      title: the name the paper prints.
      kind: which post-processing applies (`promptscale.evaluation.metrics`).
      labels: target strings by class index; empty for free-form targets.
      init_words: strings whose embeddings start a class-label prompt; the labels if not given.
      metrics: names of the metrics, in the paper's order.
      tfds: TFDS name and version of the paper's run; empty for a task of the user's own data.
      seqio: name of the T5 library's task whose text we follow; None if it has no such task.
      seqio_eval: that task's name for evaluation, if it differs (WSC trains on true rows only).
      prefix: what the T5 text starts with to name the task; stripped for prompt tuning, left for
        multi-task model tuning.
      splits: TFDS's split by our split.
      rows: rows in the published dataset by our split, before any filter (Table 7).
    """

    name: str
    title: str
    kind: Literal["classification", "multirc", "record", "wsc", "qa"]
    labels: tuple[str, ...] = ()
    init_words: tuple[str, ...] = ()
    metrics: tuple[str, ...]
    tfds: str = ""
    seqio: str | None = None
    seqio_eval: str | None = None
    prefix: str = ""
    splits: dict[str, str] = Field(default={"train": "train", "validation": "validation"})
    rows: dict[str, int] = Field(default={})

    @property
    def class_label_words(self) -> tuple[str, ...]:
        """The strings that class-label initialisation embeds, in order (section 3.2)."""
        return self.init_words or self.labels

    @property
    def score_metrics(self) -> tuple[str, ...]:
        """The metrics whose mean is the score: F1 alone for SQuAD and MRQA (appendix A.1)."""
        return ("f1",) if self.kind == "qa" else self.metrics

    @property
    def max_target_length(self) -> int:
        """The tokens of a training target with EOS: T5's limits for SQuAD and for SuperGLUE."""
        return 97 if self.kind == "qa" else 62

    def tfds_split(self, split: str) -> str:
        """TFDS's name for our `split`.

        Raises:
          ConfigError: the task has no such split.
        """
        if split not in self.splits:
            known = ", ".join(self.splits)
            raise ConfigError(f"{self.title} has no split {split!r}; it has {known}.")
        return self.splits[split]


GENERATED_ROWS = 4_000  # of each training split of the generated data

_TABLE = yaml.safe_load(Path(__file__).with_name("tasks.yaml").read_text(encoding="utf-8"))
TASKS = {name: Task(name=name, **fields) for name, fields in _TABLE.items()}
SUPER_GLUE, MRQA = (
    tuple(name for name, task in TASKS.items() if task.tfds.startswith(prefix))
    for prefix in ("super_glue/", "mrqa/")
)


def task(name: str) -> Task:
    """The task called `name`.

    Raises:
      ConfigError: no task has that name.
    """
    if name not in TASKS:
        raise ConfigError(f"There is no task {name!r}; the tasks are {', '.join(TASKS)}.")
    return TASKS[name]
