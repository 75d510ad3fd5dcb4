"""`runs.csv`, the one table of all results: its form, and scores computed from it.

One row per run, evaluated task, step and metric; figures and tables read nothing else. A run is
one training (or one evaluation of text prompts) with one seed.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from promptscale.config.sizes import SIZES, ModelConfig, model_config
from promptscale.errors import ResultsError
from promptscale.reporting import csv_schema
from promptscale.storage.atomic import atomic_write

PROMPTED = ("prompt_tuning", "prompt_ensemble")  # methods with tuned prompts
METHODS = (*PROMPTED, "model_tuning", "model_tuning_multitask", "prompt_design")
OBJECTIVES = ("span_corruption", "span_corruption_sentinel", "lm_adaptation")
INITIALIZATIONS = ("class_label", "sampled_vocab", "random_uniform", "text", "file", "")
WORLDS = ("miniature", "real", "paper")


def _text() -> pa.Column:
    return pa.Column(None, pa.Check.str_length(min_value=1, error="it must not be empty"))


def _one_of(*values: str) -> pa.Column:
    listed = ", ".join(value or "empty" for value in values)
    return pa.Column(None, pa.Check.isin(values, error=f"it must be one of {listed}"))


def _at_least_zero(dtype: str) -> pa.Column:
    return pa.Column(dtype, pa.Check.ge(0, error="it must be 0 or more"))


SCHEMA = pa.DataFrameSchema(
    {
        "run": _text(),
        "method": _one_of(*METHODS),
        "size": _text(),
        "task": _text(),
        "eval_task": _text(),
        "checkpoint": _text(),
        "objective": _one_of(*OBJECTIVES),
        "adaptation_steps": _at_least_zero("int64"),
        "prompt_length": _at_least_zero("int64"),
        "initialization": _one_of(*INITIALIZATIONS),
        "seed": _at_least_zero("int64"),
        "step": _at_least_zero("int64"),
        "metric": _text(),
        # A diverged run's loss is nan; that is a result.
        "value": pa.Column("float64", nullable=True),
        "selected": pa.Column("bool"),
        "wall_seconds": _at_least_zero("float64"),
        "accelerator_seconds": _at_least_zero("float64"),
        "world": _one_of(*WORLDS),
    },
    strict=True,
    ordered=True,
)
COLUMNS = tuple(SCHEMA.columns)
KEY = ["run", "eval_task", "step", "metric"]

# What a run is, apart from its seed and from the task that it is evaluated on.
DESCRIPTION = [
    "method", "size", "task", "checkpoint", "objective", "adaptation_steps", "prompt_length",
    "initialization", "world",
]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptSetting:
    """How prompts are tuned, apart from size, task and seed; the default is the paper's."""

    prompt_length: int = 100
    initialization: str = "class_label"
    objective: str = "lm_adaptation"
    adaptation_steps: int = 100_000


def read_runs(path: Path) -> pd.DataFrame:
    """Reads `runs.csv`, or one run's `metrics.csv`.

    Raises:
      ResultsError: the table is missing or not well-formed; names file, line and column.
    """
    return _checked(csv_schema.read(path, SCHEMA), str(path))


def write_runs(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Writes the rows of all `frames` to one table, sorted, once they are known to be sound.

    Raises:
      ResultsError: there are no rows, or together they are not well-formed.
    """
    parts = list(frames)
    if not parts:
        raise ResultsError(f"There are no runs to write to {path}.")
    runs = pd.concat(parts, ignore_index=True).sort_values(KEY, ignore_index=True)
    runs = _checked(csv_schema.conform(runs, SCHEMA, str(path)), str(path))
    with atomic_write(path) as partial:
        runs.to_csv(partial, index=False, na_rep="nan", lineterminator="\n")


def _checked(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Checks what concerns more than one column or row."""

    def refuse(wrong: pd.Series, column: str, right: str) -> None:
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise csv_schema.bad_cell(name, row, column, runs[column].iloc[row], right)

    score = runs["metric"] != "loss"
    refuse(score & ~runs["value"].between(0, 100), "value", "a metric lies between 0 and 100")
    tuned = runs["method"].isin(PROMPTED)
    refuse(
        tuned != (runs["prompt_length"] > 0),
        "prompt_length",
        "it is positive for tuned prompts and 0 for every other method",
    )
    refuse(
        tuned != (runs["initialization"] != ""),
        "initialization",
        "it is given for tuned prompts and empty for every other method",
    )
    refuse(
        (runs["objective"] == "lm_adaptation") != (runs["adaptation_steps"] > 0),
        "adaptation_steps",
        "it is positive for lm_adaptation and 0 otherwise",
    )
    refuse(runs.duplicated(KEY), "metric", "this run, task and step have it already")
    scores = runs[runs["metric"] == "score"]
    selected = scores["selected"].groupby([scores["run"], scores["eval_task"]]).sum()
    if (selected != 1).any():
        run, task = selected.index[int((selected != 1).to_numpy().argmax())]
        count = selected[run, task]
        raise ResultsError(
            f"{name}: run {run} has {count} selected scores on {task}; "
            "early stopping keeps one step."
        )
    return runs


def selected_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """The score of each run and evaluated task at the step that early stopping kept.

    Returns:
      One row per run and `eval_task`: its description, `seed`, `step` and `score` (0-100).
    """
    kept = runs[(runs["metric"] == "score") & runs["selected"]]
    columns = ["run", *DESCRIPTION, "eval_task", "seed", "step", "value"]
    return kept[columns].rename(columns={"value": "score"}).reset_index(drop=True)


def in_domain(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores on tasks that the run was trained for: all of them in multi-task tuning."""
    multitask = scores["method"] == "model_tuning_multitask"
    return scores[multitask | (scores["task"] == scores["eval_task"])]


def has_setting(
    scores: pd.DataFrame, setting: PromptSetting, except_for: Sequence[str] = ()
) -> pd.Series:
    """Which rows are prompt tuning with this `setting`, the columns `except_for` left free."""
    wanted = pd.Series(scores["method"] == "prompt_tuning", index=scores.index)
    for column, value in dataclasses.asdict(setting).items():
        if column not in except_for:
            wanted &= scores[column] == value
    return wanted


def mean_over_tasks(scores: pd.DataFrame, tasks: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """The mean score over `tasks` of each combination of `by` and seed (as SuperGLUE's score).

    Returns:
      Columns `by`, `seed` and `score`.
    Raises:
      ResultsError: a combination lacks a task, so that its mean would not be comparable.
    """
    by = [*by, "seed"]
    table = scores[scores["eval_task"].isin(tasks)].pivot_table(
        index=by, columns="eval_task", values="score", aggfunc="mean"
    )
    table = table.reindex(columns=list(tasks))
    if table.isna().any(axis=None):
        row, column = (int(place[0]) for place in table.isna().to_numpy().nonzero())
        where = ", ".join(f"{key} {value}" for key, value in zip(by, table.index[row], strict=True))
        raise ResultsError(f"The results have no score on {tasks[column]} for {where}; run it.")
    return table.mean(axis=1).rename("score").reset_index()


def aggregate(scores: pd.DataFrame, by: Sequence[str], value: str = "score") -> pd.DataFrame:
    """Mean and spread over the rows that agree in `by` (over seeds, in what this paper reports).

    Returns:
      Columns `by`, `mean`, `sd` (ddof 1 as seaborn's "sd"; nan for a single row) and `n`.
    """
    groups = scores.groupby(list(by), sort=False)[value]
    return groups.agg(mean="mean", sd="std", n="size").reset_index()


def one_world(frame: pd.DataFrame) -> str:
    """The world that all rows are of; results of two are never mixed.

    Raises:
      ResultsError: the rows are of more than one world.
    """
    worlds = sorted(set(frame["world"]))
    if len(worlds) != 1:
        raise ResultsError(
            f"The results mix the worlds {', '.join(worlds)}; each needs a table of its own."
        )
    return worlds[0]


def largest(sizes: Iterable[str], architectures: Mapping[str, ModelConfig] = SIZES) -> str:
    """The size with the most parameters."""
    known = dict(architectures)
    return max(set(sizes), key=lambda size: model_config(size, known).num_parameters)


_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def world_note(world: str, sizes: int) -> str:
    """The sentence that marks results of a world other than the paper's; empty for the paper's."""
    number = _WORDS[sizes] if sizes < len(_WORDS) else str(sizes)
    models = f"{number} tiny T5{'' if sizes == 1 else 's'}"
    return {
        "miniature": f"Miniature (generated data, {models}): not the paper's results",
        "real": f"Real data, test model, few steps ({models}): not the paper's results",
        "paper": "",
    }[world]
