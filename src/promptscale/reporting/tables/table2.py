"""Table 2: zero-shot transfer between the paraphrase tasks QQP and MRPC."""

from collections.abc import Mapping

import pandas as pd

from promptscale.config.axes import Row
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.config.tasks import task as task_named
from promptscale.errors import ResultsError
from promptscale.reporting import paper
from promptscale.reporting.provenance import is_papers
from promptscale.reporting.tables.cells import in_sds, notes, spread, titled
from promptscale.reporting.tables.table import Cell, Table
from promptscale.reporting.tables.table1 import shifted

_TITLE = "Mean ± sd of zero-shot transfer between two paraphrase tasks"
_METRICS = ("accuracy", "f1")
_TITLES = {"model_tuning": "Model", "prompt_tuning": "Prompt"}


def build(
    runs: pd.DataFrame, default: Row, architectures: Mapping[str, ModelConfig] = SIZES
) -> Table:
    """The table, mean and sd over seeds, with the paper's numbers beside ours.

    Raises:
      ResultsError: a direction or a method has no runs.
    """
    rows = pd.concat([shifted(runs, default, task, architectures) for task in ("qqp", "mrpc")])
    papers = is_papers(rows, architectures)
    values = dict(iter(rows.groupby(["task", "eval_task", "method", "metric"])["value"]))
    body: list[tuple[Cell, ...]] = []
    for printed in paper.numbers("table2").to_dict("records"):
        train, test, method = (printed[key] for key in ("train", "eval", "method"))
        keys = {metric: (train, test, method, metric) for metric in _METRICS}
        if not set(keys.values()) <= set(values):
            raise ResultsError(
                f"The results have no {method} from {train} to {test} for Table 2; run it."
            )
        ours = {metric: values[key] for metric, key in keys.items()}
        beside = {
            metric: (printed[f"{metric}_mean"], printed[f"{metric}_sd"]) for metric in _METRICS
        }
        cells: list[Cell] = [
            task_named(train).title,
            task_named(test).title,
            _TITLES[method],
            *(spread(ours[metric]) for metric in _METRICS),
            len(ours["f1"]),
            *(f"{mean} ± {sd}" for mean, sd in beside.values()),
        ]
        if papers:
            cells += [in_sds(ours[metric], *beside[metric]) for metric in _METRICS]
        body.append(tuple(cells))
    columns = ["Train", "Eval", "Tuning", "Accuracy", "F1", "n", "Accuracy (paper)", "F1 (paper)"]
    columns += ["Accuracy (sds)", "F1 (sds)"] if papers else []
    return Table(
        number=2,
        title=titled(
            "Mean ± sd of zero-shot transfer between two paraphrase tasks", rows, architectures
        ),
        columns=tuple(columns),
        rows=tuple(body),
        notes=notes(rows, papers),
    )
