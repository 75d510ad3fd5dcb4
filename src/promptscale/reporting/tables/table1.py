"""Table 1: F1 on SQuAD and, without further training, on MRQA's out-of-domain sets."""

from collections.abc import Mapping

import pandas as pd

from promptscale.config.axes import Row
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.config.tasks import task as task_named
from promptscale.errors import ResultsError
from promptscale.reporting import paper, runs_table
from promptscale.reporting.provenance import is_papers, provenance
from promptscale.reporting.tables.cells import in_sds, notes, signed, spread, titled
from promptscale.reporting.tables.table import Cell, Table

_TITLE = "F1 mean ± sd of models trained on SQuAD and evaluated on others"
METHODS = ("model_tuning", "prompt_tuning")


def shifted(
    runs: pd.DataFrame, default: Row, task: str, architectures: Mapping[str, ModelConfig] = SIZES
) -> pd.DataFrame:
    """The selected rows of both methods, trained on `task` and evaluated on other tasks too.

    Returns:
      Rows of `runs.csv` at the largest size that has such runs: a row per method, seed, evaluated
      task and metric.
    Raises:
      ResultsError: there are no such runs, or runs of several origins or labels.
    """
    wanted = (runs["task"] == task) & runs["selected"] & (runs["metric"] != "loss")
    wanted &= (runs["method"] == "model_tuning") | runs_table.has_setting(runs, default)
    rows = runs[wanted]
    beyond = rows.loc[rows["eval_task"] != task, "size"]
    if beyond.empty:
        raise ResultsError(f"The results have no runs on {task} that other sets evaluate.")
    provenance(rows)
    size = runs_table.largest(beyond, architectures)
    return rows[rows["size"] == size]


def build(
    runs: pd.DataFrame, default: Row, architectures: Mapping[str, ModelConfig] = SIZES
) -> Table:
    """The table, mean and sd over seeds, with the paper's numbers beside ours.

    Raises:
      ResultsError: there are no such runs, or not of both methods.
    """
    rows = shifted(runs, default, "squad", architectures)
    papers = is_papers(rows, architectures)
    scores = rows[rows["metric"] == "f1"].groupby(["eval_task", "method"])["value"]
    by_method = dict(iter(scores))
    body: list[tuple[Cell, ...]] = []
    for printed in paper.numbers("table1").to_dict("records"):
        keys = [(printed["task"], method) for method in METHODS]
        if not set(keys) <= set(by_method):
            raise ResultsError(f"The results have no F1 on {printed['task']} for Table 1; run it.")
        model, prompt = (by_method[key] for key in keys)
        cells: list[Cell] = [
            task_named(printed["task"]).title,
            printed["domain"],
            spread(model),
            spread(prompt),
            signed(prompt.mean() - model.mean()),
            f"{len(model)}, {len(prompt)}",
            f"{printed['model_mean']} ± {printed['model_sd']}",
            f"{printed['prompt_mean']} ± {printed['prompt_sd']}",
            signed(printed["delta"]),
        ]
        if papers:
            cells += [
                in_sds(model, printed["model_mean"], printed["model_sd"]),
                in_sds(prompt, printed["prompt_mean"], printed["prompt_sd"]),
            ]
        body.append(tuple(cells))
    columns = ["Dataset", "Domain", "Model", "Prompt", "Δ", "n"]
    columns += ["Model (paper)", "Prompt (paper)", "Δ (paper)"]
    columns += ["Model (sds)", "Prompt (sds)"] if papers else []
    return Table(
        number=1,
        title=titled(
            "F1 mean ± sd of models trained on SQuAD and evaluated on others", rows, architectures
        ),
        columns=tuple(columns),
        rows=tuple(body),
        notes=notes(rows, papers),
    )
