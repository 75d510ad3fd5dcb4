"""Table 5: wall time until convergence, by prompt length and model size."""

import pandas as pd

from promptscale.config.tasks import task as task_named
from promptscale.errors import ResultsError
from promptscale.reporting import paper
from promptscale.reporting.context import Context
from promptscale.reporting.tables.table import Cell, Table

_NOTE = (
    "Converged: the first evaluation whose score is at least 99% of the mean selected score of the "
    "configuration. Time is wall time; prompts trained together share it equally. Evaluation "
    "counts, and the compilation of the training step does not. A time is known up to the time "
    "between two evaluations."
)


def convergence(context: Context) -> pd.DataFrame:
    """The time at which each seed converged: its first score within 1% of the mean.

    The mean is that of the seeds' selected scores ("reaching a performance within 1% of the mean
    value for that model configuration"; we read 1% as relative, docs/deviations.md).

    Returns:
      Columns `prompt_length`, `size`, `seed`, `seconds` (a run's share of the wall time; nan if it
      never came within 1%) and `between` (the seconds from an evaluation to the next, on average),
      for prompt tuning with the default setting apart from its length.
    Raises:
      ResultsError: no such runs on the context's task.
    """
    runs, task = context.runs, context.convergence_task
    wanted = context.has_default(runs, except_for=["prompt_length"])
    wanted &= runs["step"] > 0  # an untrained prompt has not converged, whatever it scores
    wanted &= (runs["task"] == task) & (runs["eval_task"] == task) & (runs["metric"] == "score")
    scores = runs[wanted]
    if scores.empty:
        raise ResultsError(f"The results have no prompt tuning on {task} for Table 5.")
    configuration = ["prompt_length", "size"]
    means = scores[scores["selected"]].groupby(configuration)["value"].mean().rename("mean")
    scores = scores.merge(means.reset_index(), on=configuration)
    reached = scores["value"] >= 0.99 * scores["mean"]
    scores = scores.assign(seconds=scores["wall_seconds"].where(reached))
    runs_of = scores.groupby([*configuration, "seed"])
    times = runs_of["seconds"].min().to_frame()
    return times.assign(between=runs_of["wall_seconds"].max() / runs_of.size()).reset_index()


def build(context: Context) -> Table:
    """The table, with the paper's times beside ours where it has the same size and length.

    Raises:
      ResultsError: no such runs on the context's task, or runs of several origins or labels.
    """
    times = convergence(context).groupby(["prompt_length", "size"], as_index=False).agg(
        mean=("seconds", "mean"), sd=("seconds", "std"), n=("seconds", "count"),
        seeds=("seed", "size"), between=("between", "mean"),
    )  # fmt: skip
    times["parameters"] = times["size"].map(context.num_parameters)
    printed = {
        (row["prompt_length"], row["size"]): f"{row['mean']} ± {row['sd']}"
        for row in paper.numbers("table5").to_dict("records")
        if context.convergence_task == "boolq"
    }
    shapes = zip(times["prompt_length"], times["size"], strict=True)
    in_paper = not printed.keys().isdisjoint(shapes)
    brief = times["mean"].max() < 60  # the miniature's times would all read 0:00:00
    unit, form = ("s", "{:.2f}".format) if brief else ("h:mm:ss", clock)
    records: list[dict[str, Cell]] = []
    for row in times.sort_values(["prompt_length", "parameters"]).to_dict("records"):
        moments = [form(row[name]) for name in ("mean", "sd") if not pd.isna(row[name])]
        key = (row["prompt_length"], row["size"])
        records.append({
            "Prompt Length": row["prompt_length"],
            "Size": row["size"],
            f"Time ({unit})": " ± ".join(moments) or None,
            f"Between Evaluations ({unit})": form(row["between"]),
            "Seeds": f"{row['n']} of {row['seeds']}",
            **({"Paper": printed.get(key)} if in_paper else {}),
        })  # fmt: skip
    rows = context.runs[context.runs["size"].isin(times["size"])]
    title = f"Runtime until convergence on {task_named(context.convergence_task).title}"
    return Table(
        number=5,
        title=f"{title}, mean ± sd over seeds. {context.caption(rows)}",
        records=records,
        notes=(_NOTE,),
    )


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss, rounded to whole seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
