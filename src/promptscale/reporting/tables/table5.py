"""Table 5: accelerator time until convergence, by prompt length and model size."""

from collections.abc import Callable, Mapping

import pandas as pd

from promptscale.config.axes import Row
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.config.tasks import task as task_named
from promptscale.errors import ResultsError
from promptscale.reporting import paper, runs_table
from promptscale.reporting.tables.cells import titled
from promptscale.reporting.tables.table import Cell, Table

_NOTE = (
    "Converged: the first evaluation whose score is at least 99% of the mean selected score of the "
    "configuration. Time is accelerator time, that of one device times their number; prompts "
    "trained together share it equally, and evaluation and compilation count."
)


def convergence(runs: pd.DataFrame, default: Row, task: str) -> pd.DataFrame:
    """The time at which each seed converged: its first score within 1% of the mean.

    The mean is that of the seeds' selected scores ("reaching a performance within 1% of the mean
    value for that model configuration"; we read 1% as relative, docs/deviations.md).

    Returns:
      Columns `prompt_length`, `size`, `seed`, `seconds` (of accelerator time; nan if it never
      came within 1%). Prompt tuning only, with the `default` setting apart from its length.
    Raises:
      ResultsError: no such runs on this task.
    """
    wanted = runs_table.has_setting(runs, default, except_for=["prompt_length"])
    wanted &= runs["step"] > 0  # an untrained prompt has not converged, whatever it scores
    wanted &= (runs["task"] == task) & (runs["eval_task"] == task) & (runs["metric"] == "score")
    scores = runs[wanted]
    if scores.empty:
        raise ResultsError(f"The results have no prompt tuning on {task} for Table 5.")
    configuration = ["prompt_length", "size"]
    means = scores[scores["selected"]].groupby(configuration)["value"].mean().rename("mean")
    scores = scores.merge(means.reset_index(), on=configuration)
    reached = scores["value"] >= 0.99 * scores["mean"]
    scores = scores.assign(seconds=scores["accelerator_seconds"].where(reached))
    return scores.groupby([*configuration, "seed"])["seconds"].min().reset_index()


def build(
    runs: pd.DataFrame,
    default: Row,
    task: str = "boolq",
    architectures: Mapping[str, ModelConfig] = SIZES,
) -> Table:
    """The table, with the paper's times beside ours where it has the same size and length.

    Raises:
      ResultsError: no such runs on this task, or runs of several origins or labels.
    """
    seconds = convergence(runs, default, task)
    configuration = ["prompt_length", "size"]
    grouped = seconds.groupby(configuration)["seconds"]
    times = grouped.agg(mean="mean", sd="std", n="count", seeds="size").reset_index()
    counts = [runs_table.num_parameters(size, architectures) for size in times["size"]]
    times = times.assign(parameters=counts).sort_values(["prompt_length", "parameters"])
    printed = {
        (row["prompt_length"], row["size"]): f"{row['mean']} ± {row['sd']}"
        for row in paper.numbers("table5").to_dict("records")
    }
    brief = times["mean"].max() < 60  # the miniature's times would all read 0:00:00
    unit, form = ("s", "{:.2f}".format) if brief else ("h:mm:ss", clock)
    rows: list[tuple[Cell, ...]] = []
    for row in times.to_dict("records"):
        beside = printed.get((row["prompt_length"], row["size"])) if task == "boolq" else None
        rows.append((
            row["prompt_length"], row["size"], _time(row["mean"], row["sd"], form),
            f"{row['n']} of {row['seeds']}", beside,
        ))  # fmt: skip
    columns: tuple[str, ...] = ("Prompt Length", "Size", f"Time ({unit})", "Seeds", "Paper")
    if not any(row[-1] for row in rows):
        rows, columns = [row[:-1] for row in rows], columns[:-1]
    title = f"Runtime until convergence on {task_named(task).title}, mean ± sd over seeds"
    return Table(
        number=5,
        title=titled(title, runs[runs["size"].isin(times["size"])], architectures),
        columns=columns,
        rows=tuple(rows),
        notes=(_NOTE,),
    )


def _time(mean: float, sd: float, form: Callable[[float], str]) -> str | None:
    if pd.isna(mean):
        return None
    return form(mean) if pd.isna(sd) else f"{form(mean)} ± {form(sd)}"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss, rounded to whole seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
