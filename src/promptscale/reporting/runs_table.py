"""`runs.csv`, the table of all results: its columns, and scores computed from it.

A row per run, evaluated task, step and metric; figures and tables read nothing else. A run is a
training (or an evaluation of text prompts) with a seed.

The columns of a run's setting are those of the ablation axes (`promptscale.config.axes`). A table
that was written before an axis was declared lacks its column: reading fills it with the default's
value, which all its runs had. Every other missing column is refused, and so is every unknown
column, as it may tell settings apart that would otherwise be averaged.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pandera.pandas as pa

from promptscale.config import axes
from promptscale.config.axes import Row
from promptscale.config.jobs import AnyJob
from promptscale.config.settings import Origin
from promptscale.errors import ResultsError
from promptscale.reporting import csv_schema
from promptscale.reporting.csv_schema import at_least_zero, choice, number, refuse
from promptscale.storage.atomic import atomic_write

PROMPTED = ("prompt_tuning", "prompt_ensemble")  # methods with tuned prompts
_METHODS = (job.model_fields["method"].default for job in get_args(AnyJob))
METHODS = tuple(dict.fromkeys([*PROMPTED, *_METHODS]))
# Metrics of a training; all others are of predictions. A diverged run has a row of the second.
TRAINING_METRICS = ("loss", "diverged")
KEY = ["run", "eval_task", "step", "metric"]
# What differs between the rows of a run; the other columns describe it.
_OF_A_ROW = (*KEY[1:], "value", "selected", "wall_seconds", "accelerator_seconds")


def _text() -> pa.Column:
    return pa.Column(None, pa.Check.str_length(min_value=1, error="it must not be empty"))


def _of_setting(column: axes.Column) -> pa.Column:
    if column.kind is int:
        return at_least_zero("int64")
    if column.kind is float:
        return number("nan")
    absent = () if column.absent is None else (str(column.absent),)
    return choice([*get_args(column.kind), *absent])


def schema() -> pa.DataFrameSchema:
    """The columns of `runs.csv`, their types and bounds."""
    return pa.DataFrameSchema(
        {
            "run": _text(),
            "method": choice(METHODS),
            "size": _text(),
            "task": _text(),
            "eval_task": _text(),
            "checkpoint": _text(),
            **{column.name: _of_setting(column) for column in axes.columns()},
            "pretraining_seed": at_least_zero("int64"),
            "seed": at_least_zero("int64"),
            "step": at_least_zero("int64"),
            "metric": _text(),
            "value": number(),
            "selected": pa.Column("bool"),
            "wall_seconds": at_least_zero("float64"),
            "accelerator_seconds": at_least_zero("float64"),
            "origin": choice(get_args(Origin)),
            "label": _text(),
        }
    )


def columns() -> list[str]:
    """The names of the columns of `runs.csv`, in order."""
    return list(schema().columns)


def read_runs(path: Path, default: Row | None = None) -> pd.DataFrame:
    """Reads `runs.csv`, or a job's `metrics.csv`.

    Args:
      default: the description of the default setting (`axes.describe`), whose values fill the
        columns of axes that an older table lacks; without it such a table is refused.
    Raises:
      ResultsError: the table is missing or not well-formed; names file, line and column.
    """
    frame = csv_schema.read_texts(path, "run")
    if default and "method" in frame:
        prompted = frame["method"].isin(PROMPTED)
        paper = {column for name in axes.PAPER_AXES for column in axes.AXES[name].columns}
        for column in axes.columns():
            if column not in paper and column.name not in frame:
                filled = prompted if column.absent is not None else True
                frame[column.name] = np.where(filled, str(default[column.name]), str(column.absent))
    return _checked(frame, str(path))


def write_runs(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Writes the rows of all `frames` to a table, sorted, after checking them.

    Raises:
      ResultsError: there are no rows, or the table would not be well-formed.
    """
    parts = list(frames)
    if not parts:
        raise ResultsError(f"There are no runs to write to {path}.")
    runs = pd.concat(parts, ignore_index=True).sort_values(KEY, ignore_index=True)
    runs = _checked(runs, str(path))
    with atomic_write(path) as partial:
        runs.to_csv(partial, index=False, na_rep="nan", lineterminator="\n")


def _checked(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Checks the schema, and the rules that concern several columns or rows."""
    runs = csv_schema.conform(runs, schema(), name)
    percent = (runs["metric"] == "loss") | runs["value"].between(0.0, 100.0)
    refuse(~percent, runs["value"], "a metric is from 0 to 100", name)
    tuned = runs["method"].isin(PROMPTED)
    for column in axes.columns():
        if column.absent is not None:
            cells = runs[column.name]
            given = cells.notna() & (cells != column.absent)
            what = "positive" if column.absent == 0 else "given"
            absent = "empty" if column.absent == "" else column.absent
            right = f"it is {what} for tuned prompts and {absent} for every other method"
            refuse(tuned != given, cells, right, name)
    adapted, steps = runs["objective"] == "lm_adaptation", runs["adaptation_steps"]
    refuse(adapted != (steps > 0), steps, "it is positive for lm_adaptation and 0 otherwise", name)
    right = "this run, task and step have it already"
    refuse(runs.duplicated(KEY), runs["metric"], right, name)
    described = runs.drop(columns=[*_OF_A_ROW]).drop_duplicates()
    for run in described["run"][described.duplicated("run")]:
        rows = described[described["run"] == run]
        column = next(name for name in rows if rows[name].nunique(dropna=False) > 1)
        raise ResultsError(f"{name}: the rows of the run {run} have several values of {column}.")
    scores = runs[runs["metric"] == "score"]
    selected = scores.groupby(["run", "eval_task"])["selected"].sum()
    for run, task, count in selected[selected != 1].reset_index().itertuples(index=False):
        fault = f"run {run} has {count} selected scores on {task}"
        raise ResultsError(f"{name}: {fault}; early stopping selects a single step.")
    return runs


def selected_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """The score of each run and evaluated task at the step that early stopping selected.

    Returns:
      A row per run and `eval_task`: its description, `seed`, `step` and `score` (0-100).
    """
    selected = runs[(runs["metric"] == "score") & runs["selected"]]
    names = [
        *("run", "method", "size", "task", "checkpoint", "pretraining_seed"),
        *(column.name for column in axes.columns()),
        *("origin", "label", "eval_task", "seed", "step", "value"),
    ]
    return selected[names].rename(columns={"value": "score"}).reset_index(drop=True)


def setting_columns(scores: pd.DataFrame) -> list[str]:
    """The method, and the other columns in which the settings of some rows differ.

    They are tasks, size, checkpoint (which stands for the columns that describe it) and the axes of
    prompts.
    """
    of_prompts = [column.name for column in axes.columns() if column.absent is not None]
    others = ["task", "eval_task", "size", "checkpoint", *of_prompts]
    return ["method", *(column for column in others if scores[column].nunique() > 1)]


def diverged(runs: pd.DataFrame) -> frozenset[str]:
    """The names of the runs that diverged."""
    return frozenset(runs.loc[runs["metric"] == "diverged", "run"])


def in_domain(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores on tasks that the run was trained on: all tasks in multi-task tuning."""
    multitask = scores["method"] == "model_tuning_multitask"
    return scores[multitask | (scores["task"] == scores["eval_task"])]


def has_setting(scores: pd.DataFrame, setting: Row, except_for: Sequence[str] = ()) -> pd.Series:
    """Which rows are prompt tuning with this `setting`, except for the columns `except_for`."""
    fields = {name: value for name, value in setting.items() if name not in except_for}
    wanted = pd.Series({"method": "prompt_tuning"} | fields)
    return (scores[list(wanted.index)] == wanted).all(axis=1)


def mean_over_tasks(scores: pd.DataFrame, tasks: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """The mean score over `tasks` for each combination of `by` and seed, such as SuperGLUE's score.

    Returns:
      Columns `by`, `seed` and `score`.
    Raises:
      ResultsError: a combination lacks a task, so that its mean would not be comparable.
    """
    by = [*by, "seed"]
    scores = scores[scores["eval_task"].isin(tasks)]
    table = scores.pivot_table(index=by, columns="eval_task", values="score", aggfunc="mean")
    table = table.reindex(columns=list(tasks))
    if table.isna().any(axis=None):
        row, column = (int(place[0]) for place in table.isna().to_numpy().nonzero())
        where = ", ".join(f"{key} {value}" for key, value in zip(by, table.index[row], strict=True))
        raise ResultsError(f"The results have no score on {tasks[column]} for {where}; run it.")
    return table.mean(axis=1).rename("score").reset_index()


def aggregate(scores: pd.DataFrame, by: Sequence[str], value: str = "score") -> pd.DataFrame:
    """Mean and standard deviation over the rows that agree in `by`: in the paper, over seeds.

    Returns:
      Columns `by`, `mean`, `sd` (ddof 1 as seaborn's "sd"; nan for a single row) and `n`.
    """
    groups = scores.groupby(list(by), sort=False, dropna=False)[value]
    return groups.agg(mean="mean", sd="std", n="size").reset_index()
