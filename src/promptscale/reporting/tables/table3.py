"""Table 3: the single prompts of a setting, the best of them, and the vote of all."""

from collections.abc import Mapping

import pandas as pd

from promptscale.config.axes import Row
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.config.tasks import SUPER_GLUE
from promptscale.config.tasks import task as task_named
from promptscale.errors import ResultsError
from promptscale.reporting import paper, runs_table
from promptscale.reporting.provenance import is_papers, provenance
from promptscale.reporting.tables.cells import notes, spread, titled
from promptscale.reporting.tables.table import DAGGER, Cell, Table

_METRICS = {
    "accuracy": "acc.", "f1_macro": "F1", "em": "EM", "f1a": "F1a", "f1": "F1",
}  # fmt: skip
_NOTE = (
    "Best: the prompt of the highest task score, on the development set that it is scored on. "
    "Ensemble: a majority vote, ties to the prompt of the lowest seed."
)


def members(
    runs: pd.DataFrame, default: Row, architectures: Mapping[str, ModelConfig] = SIZES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The selected rows of the single prompts and of their ensemble, at the largest such size.

    Raises:
      ResultsError: there is no ensemble, or runs of several origins or labels.
    """
    selected = runs[runs["selected"] & (runs["metric"] != "loss")]
    ensembles = selected[selected["method"] == "prompt_ensemble"]
    if ensembles.empty:
        raise ResultsError("The results have no ensemble of prompts.")
    size = runs_table.largest(ensembles["size"], architectures)
    single = selected[runs_table.has_setting(selected, default) & (selected["size"] == size)]
    single = single[single["task"].isin(SUPER_GLUE) & (single["task"] == single["eval_task"])]
    provenance(pd.concat([single, ensembles]))
    return single, ensembles[ensembles["size"] == size]


def build(
    runs: pd.DataFrame, default: Row, architectures: Mapping[str, ModelConfig] = SIZES
) -> Table:
    """The table per task and metric, and SuperGLUE's mean, with the paper's numbers beside ours.

    Raises:
      ResultsError: there is no ensemble of all eight tasks.
    """
    single, ensembles = members(runs, default, architectures)
    voted = ensembles.set_index(["eval_task", "metric"])["value"]
    values = single.set_index(["eval_task", "metric", "seed"])["value"].sort_index()
    missing = [task for task in SUPER_GLUE if (task, "score") not in voted]
    if missing:
        raise ResultsError(f"The results have no ensemble on {missing[0]} for Table 3; run it.")
    best = {task: values[task, "score"].idxmax() for task in SUPER_GLUE}
    misprints = paper.errata("table3")
    body: list[tuple[Cell, ...]] = []
    for printed in paper.numbers("table3").to_dict("records"):
        task, metric = printed["task"], printed["metric"]
        if task == "super_glue":
            means = values.xs("score", level="metric").groupby("seed").mean()
            top = sum(values[name, "score", best[name]] for name in SUPER_GLUE) / len(SUPER_GLUE)
            together = voted.xs("score", level="metric").mean()
            name = "SuperGLUE (dev)"
        else:
            means = values[task, metric]
            top, together = values[task, metric, best[task]], voted[task, metric]
            name = f"{task_named(task).title} ({_METRICS[metric]})"
        body.append((
            name, spread(means), f"{top:.1f}", f"{together:.1f}", len(means),
            *(f"{printed[column]}{DAGGER if (task, column) in misprints else ''}"
              for column in ("average", "best", "ensemble")),
        ))  # fmt: skip
    marked = [
        f"{DAGGER} The paper prints {misprint['printed']}; right is {misprint['correct']} "
        f"({misprint['why']})."
        for misprint in misprints.values()
    ]
    return Table(
        number=3,
        title=titled("Single prompts, the best of them, and their ensemble", single, architectures),
        columns=(
            "Dataset", "Average", "Best", "Ensemble", "Prompts",
            "Average (paper)", "Best (paper)", "Ensemble (paper)",
        ),
        rows=tuple(body),
        notes=(_NOTE, *marked, *notes(single, is_papers(single, architectures), in_sds=False)),
    )  # fmt: skip
