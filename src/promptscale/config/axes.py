"""The ablation axes: everything that tells a setting of prompt tuning from the default's.

An axis is declared once, in `AXES`. From its declaration follow the key of `ablations`, the jobs
and their names, the columns of `runs.csv` and of the run table, the target `ablation_<name>` and
the panel of Figure 3. An axis over a number of the configuration needs no more than this:

    Axis.of_field("learning_rate", "optimizer.learning_rate", float, Panel("e", "Learning rate"))
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from promptscale.config.settings import (
    Initialization,
    Objective,
    PromptTuning,
    UnadaptedObjective,
)
from promptscale.config.values import NotNegative, Positive

_CONTINUED = "span_corruption_continued"
_SEED = "-pretraining_"
Value = str | int | float
Row = Mapping[Any, Any]  # of `runs.csv`, or the description of a setting


class Setting(NamedTuple):
    """The name of a checkpoint and how prompts are tuned on it (None: no prompts are tuned)."""

    checkpoint: str
    prompts: PromptTuning | None


def further_steps(checkpoint: str) -> int:
    """Steps after pre-training: n of `lm_<n>` and `span_corruption_continued_<n>`, else 0."""
    last = unseeded_name(checkpoint).rpartition("_")[2]
    return int(last) if last.isdigit() else 0


def adaptation_steps(checkpoint: str) -> int:
    """Steps of LM adaptation in a checkpoint's name: n of `lm_<n>`, else 0."""
    return further_steps(checkpoint) if checkpoint.startswith("lm_") else 0


def checkpoint_name(steps: int) -> str:
    """The name of the checkpoint after `steps` steps of LM adaptation."""
    return f"lm_{steps}" if steps else "span_corruption"


def continued_name(steps: int) -> str:
    """The name of the checkpoint after `steps` further steps of span corruption."""
    return f"{_CONTINUED}_{steps}"


def seeded_name(checkpoint: str, pretraining_seed: int) -> str:
    """The name of such a checkpoint of another pre-training than the first."""
    return f"{checkpoint}{_SEED}{pretraining_seed}"


def unseeded_name(checkpoint: str) -> str:
    """The name of such a checkpoint of the first pre-training."""
    return checkpoint.partition(_SEED)[0]


def pretraining_seed(checkpoint: str) -> int | None:
    """The seed in a checkpoint's name; None for the first pre-training."""
    seed = checkpoint.partition(_SEED)[2]
    return int(seed) if seed else None


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of `runs.csv` that shows a property of a setting.

    Attributes:
      kind: the type of its values: a Literal of texts, `int` or `float`.
      read: its value for a setting.
      absent: its value in rows of methods without prompts; None if `read` applies to all methods.
    """

    name: str
    kind: Any
    read: Callable[[Setting], Value]
    absent: Value | None = None


@dataclasses.dataclass(frozen=True)
class Panel:
    """A panel of Figure 3.

    Attributes:
      curve: the curve of a row, given the description of the default setting; None if the panel
        leaves such rows out. By default a curve for each value of the axis's first column.
      labels: the legend's label of each curve in the legend's order. By default the curves
        themselves, sorted as numbers.
      default_mark: what the legend adds to the label of the default's curve.
    """

    letter: str
    title: str
    curve: Callable[[Row, Row], str | None] | None = None
    labels: Callable[[Sequence[str]], dict[str, str]] | None = None
    default_mark: str = " (default)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis of the ablations.

    Attributes:
      name: the key of `ablations`.
      values: the type of its values, as pydantic understands it.
      setting: the setting that differs from the given default in this value.
      columns: the columns of `runs.csv` in which settings of this axis differ.
      panel: the panel of Figure 3.
      in_name: the part of a run's name that shows the axis (empty: none). By default the part is
        `<name>_<value>`, and is left out where the value is the default's.
    """

    name: str
    values: Any
    setting: Callable[[Setting, Any], Setting]
    columns: tuple[Column, ...]
    panel: Panel
    in_name: Callable[[Setting], str] | None = None

    @classmethod
    def of_field(cls, name: str, field: str, values: Any, panel: Panel, **fields: Any) -> "Axis":
        """An axis over the key `field` of `prompt_tuning`, such as `optimizer.learning_rate`."""
        kind = get_args(values)[0] if get_origin(values) is Annotated else values
        absent: Value = {int: 0, float: math.nan}.get(kind, "")
        return cls(
            name=name,
            values=values,
            setting=functools.partial(_changed, field),
            columns=(Column(name, kind, functools.partial(_read, field), absent),),
            panel=panel,
            **fields,
        )

    def curve(self, row: Row, default: Row) -> str | None:
        """The curve of this axis's panel that a row belongs to, if any."""
        if self.panel.curve:
            return self.panel.curve(row, default)
        return str(row[self.columns[0].name])

    def labels(self, curves: Sequence[str]) -> dict[str, str]:
        """The legend's labels of some curves, in the legend's order."""
        if self.panel.labels:
            return self.panel.labels(curves)
        return {name: name for name in sorted(curves, key=_number_first)}


def _number_first(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return math.inf, text


def _read(field: str, setting: Setting) -> Value:
    return functools.reduce(getattr, field.split("."), setting.prompts)  # type: ignore[return-value]


def _changed(field: str, setting: Setting, value: Value) -> Setting:
    """The setting with the key `field` of its prompts replaced; the result is validated again."""
    assert setting.prompts is not None
    content = setting.prompts.model_dump()
    *parents, last = field.split(".")
    functools.reduce(dict.__getitem__, parents, content)[last] = value
    return setting._replace(prompts=PromptTuning.model_validate(content))


def _objective(setting: Setting) -> str:
    objective = "span_corruption"
    if further_steps(setting.checkpoint):
        objective = "lm_adaptation" if adaptation_steps(setting.checkpoint) else _CONTINUED
    return f"{objective}_sentinel" if setting.prompts and setting.prompts.sentinel else objective


_CHECKPOINT_COLUMNS = (
    Column("objective", Objective, _objective),
    Column("adaptation_steps", int, lambda setting: adaptation_steps(setting.checkpoint)),
)
_INITIALIZATIONS = {
    "random_uniform": "Random Uniform",
    "sampled_vocab": "Sampled Vocab",
    "class_label": "Class Label",
}
_OBJECTIVES = {
    "span_corruption": "Span Corruption",
    "span_corruption_sentinel": "Span Corruption + Sentinel",
    "span_corruption_continued": "Span Corr. (cont.)",
    "span_corruption_continued_sentinel": "Span Corr. (cont.) + Sentinel",
}


def _initialization_curve(row: Row, default: Row) -> str | None:
    """The initialisation; prompts that start from a text or a file are left out."""
    return row["initialization"] if row["initialization"] in _INITIALIZATIONS else None


def _objective_curve(row: Row, default: Row) -> str | None:
    """The objective; of the adapted checkpoints only the default's, as `lm_<steps>`."""
    if row["objective"] != "lm_adaptation":
        return row["objective"]
    steps = row["adaptation_steps"]
    return checkpoint_name(steps) if steps == default["adaptation_steps"] else None


def _steps_curve(row: Row, default: Row) -> str | None:
    """The steps of LM adaptation; continued span corruption and sentinels are left out."""
    shown = row["objective"] in ("span_corruption", "lm_adaptation")
    return str(row["adaptation_steps"]) if shown else None


def _named(titles: Mapping[str, str], curves: Sequence[str]) -> dict[str, str]:
    return {name: title for name, title in titles.items() if name in curves}


_initialization_labels = functools.partial(_named, _INITIALIZATIONS)


def _objective_labels(curves: Sequence[str]) -> dict[str, str]:
    adapted = [str(adaptation_steps(name)) for name in curves if name not in _OBJECTIVES]
    steps = _in_thousands(adapted).items()
    labels = {checkpoint_name(int(n)): f"LM Adaptation ({text} steps)" for n, text in steps}
    return _named(_OBJECTIVES, curves) | labels


def _in_thousands(curves: Sequence[str]) -> dict[str, str]:
    """Steps in ascending order; from 10,000 on written as the paper does (100K)."""
    steps = sorted(map(int, curves))
    thousands = bool(steps) and steps[-1] >= 10_000 and all(n % 1000 == 0 for n in steps)
    return {str(n): f"{n // 1000}K" if thousands else str(n) for n in steps}


def _with_objective(setting: Setting, objective: str) -> Setting:
    checkpoint = "span_corruption"
    if objective.startswith(_CONTINUED):
        checkpoint = continued_name(adaptation_steps(setting.checkpoint))
    unadapted = setting._replace(checkpoint=checkpoint)
    return _changed("sentinel", unadapted, objective.endswith("_sentinel"))


# The paper's four choices (section 3.2, Figure 3). Further axes are added at the end.
AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis.of_field(
            "prompt_length",
            "prompt_length",
            Positive,
            Panel("a", "Prompt length"),
            in_name=lambda setting: f"length_{_read('prompt_length', setting)}",
        ),
        Axis.of_field(
            "initialization",
            "initialization.method",
            Initialization,
            Panel("b", "Prompt initialization", _initialization_curve, _initialization_labels),
            in_name=lambda setting: str(_read("initialization.method", setting)),
        ),
        Axis(
            name="pretraining_objective",
            values=UnadaptedObjective,
            setting=_with_objective,
            columns=_CHECKPOINT_COLUMNS,
            panel=Panel("c", "Pre-training objective", _objective_curve, _objective_labels, ""),
            in_name=lambda setting: "sentinel" if _objective(setting).endswith("sentinel") else "",
        ),
        Axis(
            name="lm_adaptation_steps",
            values=NotNegative,
            setting=lambda setting, steps: setting._replace(checkpoint=checkpoint_name(steps)),
            columns=_CHECKPOINT_COLUMNS,
            panel=Panel("d", "LM adaptation steps", _steps_curve, _in_thousands),
            in_name=lambda setting: "",  # the checkpoint's name shows it
        ),
    )
}

PAPER_AXES = ("prompt_length", "initialization", "pretraining_objective", "lm_adaptation_steps")


def columns() -> tuple[Column, ...]:
    """The columns of all axes in the order of `runs.csv`: those of the checkpoint come first."""
    unique = dict.fromkeys(column for axis in AXES.values() for column in axis.columns)
    return tuple(sorted(unique, key=lambda column: column.absent is not None))


def describe(setting: Setting) -> dict[str, Value]:
    """The columns of `runs.csv` that show a setting."""
    return {
        column.name: column.read(setting)
        if setting.prompts or column.absent is None
        else column.absent
        for column in columns()
    }


def setting_name(setting: Setting) -> str:
    """The part of a run's name that shows its setting, such as `length_20-class_label`."""
    parts = [axis.in_name(setting) for axis in AXES.values() if axis.in_name]
    return "-".join(filter(None, parts))


def variant_name(setting: Setting, default: Setting) -> str:
    """What follows `setting_name`: `-<axis>_<value>` for each further axis off the default."""
    further = [(axis.name, axis.columns[0].read) for axis in AXES.values() if not axis.in_name]
    return "".join(
        f"-{name}_{read(setting)}" for name, read in further if read(setting) != read(default)
    )
