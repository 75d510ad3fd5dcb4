"""The paper's tasks as data: labels, words for class-label initialisation, metrics, TFDS sources.

Labels are in TFDS's class-index order and as the T5 library's preprocessors write them. The
initialisation words of ReCoRD and WSC are those of the paper's footnote 8; SQuAD's are ours
(docs/deviations.md).
"""

import dataclasses
from typing import Literal

from promptscale.errors import ConfigError

Kind = Literal["classification", "multirc", "record", "wsc", "qa"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A task: its targets, its metrics and the source of its rows.

    Attributes:
      name: the short name used in configurations and paths.
      title: the name the paper prints.
      kind: which post-processing applies (`promptscale.evaluation.metrics`).
      labels: target strings by class index; empty for free-form targets.
      init_words: strings whose embeddings start a class-label prompt.
      metrics: names of the metrics, in the paper's order.
      tfds: TFDS name and version of the paper's run.
      seqio: name of the T5 library's task whose text we follow; None if it has no such task.
      seqio_eval: that task's name for evaluation, if it differs (WSC trains on true rows only).
      prefix: what the T5 text starts with to name the task; stripped for prompt tuning, left for
        multi-task model tuning.
      splits: pairs of our split and TFDS's split.
      rows: rows of each of our splits in the published dataset, before any filter (Table 7).
    """

    name: str
    title: str
    kind: Kind
    labels: tuple[str, ...] = ()
    init_words: tuple[str, ...] = ()
    metrics: tuple[str, ...]
    tfds: str
    seqio: str | None
    seqio_eval: str | None = None
    prefix: str = ""
    splits: tuple[tuple[str, str], ...] = (("train", "train"), ("validation", "validation"))
    rows: tuple[int, ...]

    @property
    def class_label_words(self) -> tuple[str, ...]:
        """The strings that class-label initialisation embeds, in order (section 3.2)."""
        return self.init_words or self.labels

    @property
    def score_metrics(self) -> tuple[str, ...]:
        """The metrics whose mean is the score: F1 alone for SQuAD and MRQA (appendix A.1)."""
        return ("f1",) if self.kind == "qa" else self.metrics

    def tfds_split(self, split: str) -> str:
        """TFDS's name for our `split`.

        Raises:
          ConfigError: the task has no such split.
        """
        splits = dict(self.splits)
        if split not in splits:
            raise ConfigError(f"{self.title} has no split {split!r}; it has {', '.join(splits)}.")
        return splits[split]

    def published_rows(self, split: str) -> int:
        """Rows of our `split` in the published dataset.

        Raises:
          ConfigError: the task has no such split.
        """
        self.tfds_split(split)
        return dict(zip(dict(self.splits), self.rows, strict=True))[split]


def _super_glue(
    name: str, title: str, metrics: tuple[str, ...], rows: tuple[int, int], **fields
) -> Task:
    defaults = {
        "kind": "classification",
        "tfds": f"super_glue/{name}:1.0.2",
        "seqio": f"super_glue_{name}_v102",
        "prefix": name,
    }
    return Task(name=name, title=title, metrics=metrics, rows=rows, **{**defaults, **fields})


def _glue(name: str, title: str, labels: tuple[str, str], rows: tuple[int, int]) -> Task:
    return Task(
        name=name,
        title=title,
        kind="classification",
        labels=labels,
        metrics=("accuracy", "f1"),
        tfds=f"glue/{name}:1.0.0",
        seqio=f"glue_{name}_v002",
        prefix=name,
        rows=rows,
    )


def _mrqa(name: str, title: str, config: str, rows: int) -> Task:
    return Task(
        name=name,
        title=title,
        kind="qa",
        metrics=("f1", "em"),
        tfds=f"mrqa/{config}:1.0.0",
        seqio=None,
        splits=(("validation", "test"),),
        rows=(rows,),
    )


_FALSE_TRUE = ("False", "True")
_PRONOUN_WORDS = ("commonsense", "pronoun", "resolution")
_QA_WORDS = ("question", "answering", "reading", "comprehension")

SUPER_GLUE: tuple[str, ...] = (
    "boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc",
)  # fmt: skip
MRQA: tuple[str, ...] = ("textbookqa", "bioasq", "race", "re", "duorc", "drop")

_TASKS = (
    _super_glue("boolq", "BoolQ", ("accuracy",), (9427, 3270), labels=_FALSE_TRUE),
    _super_glue(
        "cb",
        "CB",
        ("accuracy", "f1_macro"),
        (250, 56),
        labels=("entailment", "contradiction", "neutral"),
    ),
    _super_glue("copa", "COPA", ("accuracy",), (400, 100), labels=("choice1", "choice2")),
    _super_glue(
        "multirc", "MultiRC", ("em", "f1a"), (27243, 4848), kind="multirc", labels=_FALSE_TRUE
    ),
    _super_glue(
        "record",
        "ReCoRD",
        ("em", "f1"),
        (100730, 10000),
        kind="record",
        init_words=("commonsense", "reasoning", "reading", "comprehension"),
    ),
    _super_glue("rte", "RTE", ("accuracy",), (2490, 277), labels=("entailment", "not_entailment")),
    _super_glue("wic", "WiC", ("accuracy",), (5428, 638), labels=_FALSE_TRUE),
    _super_glue(
        "wsc",
        "WSC",
        ("accuracy",),
        (554, 104),
        kind="wsc",
        init_words=_PRONOUN_WORDS,
        prefix="wsc:",
        tfds="super_glue/wsc.fixed:1.0.2",
        seqio="super_glue_wsc_v102_simple_train",
        seqio_eval="super_glue_wsc_v102_simple_eval",
    ),
    _glue("mrpc", "MRPC", ("not_equivalent", "equivalent"), (3668, 408)),
    _glue("qqp", "QQP", ("not_duplicate", "duplicate"), (363849, 40430)),
    Task(
        name="squad",
        title="SQuAD",
        kind="qa",
        init_words=_QA_WORDS,
        metrics=("f1", "em"),
        tfds="squad/v1.1:3.0.0",
        seqio="squad_v010_allanswers",
        rows=(87599, 10570),
    ),
    Task(
        name="dpr",
        title="DPR",
        kind="wsc",
        init_words=_PRONOUN_WORDS,
        metrics=("accuracy",),
        tfds="definite_pronoun_resolution:1.1.0",
        seqio="dpr_v001_simple",
        prefix="wsc:",
        splits=(("train", "train"), ("validation", "test")),
        rows=(1322, 564),
    ),
    _mrqa("textbookqa", "TextbookQA", "textbook_qa", 1503),
    _mrqa("bioasq", "BioASQ", "bio_asq", 1504),
    _mrqa("race", "RACE", "race", 674),
    _mrqa("re", "RE", "relation_extraction", 2948),
    _mrqa("duorc", "DuoRC", "duo_rc", 1501),
    _mrqa("drop", "DROP", "drop", 1503),
)

TASKS: dict[str, Task] = {task.name: task for task in _TASKS}


def task(name: str) -> Task:
    """The task called `name`.

    Raises:
      ConfigError: no task has that name.
    """
    if name not in TASKS:
        raise ConfigError(f"There is no task {name!r}; the tasks are {', '.join(TASKS)}.")
    return TASKS[name]
