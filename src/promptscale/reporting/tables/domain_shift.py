"""Tables 1 and 2: models and prompts tuned on a task and evaluated on others without training."""

from collections.abc import Mapping

import pandas as pd

from promptscale.config.tasks import task as task_named
from promptscale.errors import ResultsError
from promptscale.reporting import paper
from promptscale.reporting.context import Context
from promptscale.reporting.runs_table import TRAINING_METRICS
from promptscale.reporting.tables.cells import notes, spread
from promptscale.reporting.tables.table import Cell, Table

_METHODS = {"model_tuning": "Model", "prompt_tuning": "Prompt"}
_METRICS = {"accuracy": "Accuracy", "f1": "F1"}
_SDS = "sds: our mean minus the paper's, in units of the paper's standard deviation."


def table1(context: Context) -> Table:
    """F1 on SQuAD and on MRQA's out-of-domain sets, with the paper's numbers beside ours.

    Raises:
      ResultsError: there are no such runs, or not of both methods.
    """
    rows = _shifted(context, "squad")
    values = dict(iter(rows[rows["metric"] == "f1"].groupby(["eval_task", "method"])["value"]))
    records: list[dict[str, Cell]] = []
    for printed in paper.numbers("table1").to_dict("records"):
        task = printed["task"]
        if any((task, method) not in values for method in _METHODS):
            raise ResultsError(f"The results have no F1 on {task} for Table 1; run it.")
        ours = {title: values[task, method] for method, title in _METHODS.items()}
        records.append({
            "Dataset": task_named(task).title,
            "Domain": printed["domain"],
            **{title: spread(part) for title, part in ours.items()},
            "Δ": f"{ours['Prompt'].mean() - ours['Model'].mean():+.1f}",
            "n": ", ".join(str(len(part)) for part in ours.values()),
            **_printed(ours, printed),
            "Δ (paper)": f"{printed['delta']:+.1f}",
            **(_in_sds(ours, printed) if context.is_papers(rows) else {}),
        })  # fmt: skip
    title = "F1 mean ± sd of models trained on SQuAD and evaluated on others"
    return _table(context, 1, title, rows, records)


def table2(context: Context) -> Table:
    """Transfer between the paraphrase tasks QQP and MRPC, with the paper's numbers beside ours.

    Raises:
      ResultsError: a direction or a method has no runs.
    """
    rows = pd.concat([_shifted(context, task) for task in ("qqp", "mrpc")])
    values = dict(iter(rows.groupby(["task", "eval_task", "method", "metric"])["value"]))
    records: list[dict[str, Cell]] = []
    for printed in paper.numbers("table2").to_dict("records"):
        train, test, method = (printed[key] for key in ("train", "eval", "method"))
        if any((train, test, method, metric) not in values for metric in _METRICS):
            runs = f"{method} from {train} to {test}"
            raise ResultsError(f"The results have no {runs} for Table 2; run it.")
        ours = {title: values[train, test, method, metric] for metric, title in _METRICS.items()}
        records.append({
            "Train": task_named(train).title,
            "Eval": task_named(test).title,
            "Tuning": _METHODS[method],
            **{title: spread(part) for title, part in ours.items()},
            "n": len(ours["F1"]),
            **_printed(ours, printed),
            **(_in_sds(ours, printed) if context.is_papers(rows) else {}),
        })  # fmt: skip
    title = "Mean ± sd of zero-shot transfer between two paraphrase tasks"
    return _table(context, 2, title, rows, records)


def _shifted(context: Context, task: str) -> pd.DataFrame:
    """The selected rows of both methods, trained on `task` and evaluated on other tasks too.

    They are rows of `runs.csv` at the largest size that has such runs: a row per method, seed,
    evaluated task and metric.
    """
    runs = context.runs
    wanted = (runs["task"] == task) & runs["selected"] & ~runs["metric"].isin(TRAINING_METRICS)
    wanted &= (runs["method"] == "model_tuning") | context.has_default(runs)
    rows = runs[wanted]
    beyond = rows.loc[rows["eval_task"] != task, "size"]
    if beyond.empty:
        raise ResultsError(f"The results have no runs on {task} that other sets evaluate.")
    return rows[rows["size"] == context.largest(beyond)]


def _printed(ours: Mapping[str, pd.Series], row: Mapping) -> dict[str, str]:
    """The paper's mean ± sd of each of our columns."""
    moments = {title: _moments(row, title) for title in ours}
    return {f"{title} (paper)": f"{mean} ± {sd}" for title, (mean, sd) in moments.items()}


def _in_sds(ours: Mapping[str, pd.Series], row: Mapping) -> dict[str, str]:
    """The difference of each of our means from the paper's, in the paper's sds."""
    cells = {}
    for title, values in ours.items():
        mean, sd = _moments(row, title)
        cells[f"{title} (sds)"] = f"{(values.mean() - mean) / sd:+.1f}" if sd else ""
    return cells


def _moments(row: Mapping, title: str) -> tuple[float, float]:
    return row[f"{title.lower()}_mean"], row[f"{title.lower()}_sd"]


def _table(
    context: Context, number: int, title: str, rows: pd.DataFrame, records: list[dict[str, Cell]]
) -> Table:
    return Table(
        number=number,
        title=f"{title}. {context.caption(rows)}",
        records=records,
        notes=notes(context, rows, of_papers=[_SDS]),
    )
