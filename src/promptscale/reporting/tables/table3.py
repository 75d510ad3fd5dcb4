"""Table 3: the single prompts of a setting, the best of them, and the vote of all."""

import pandas as pd

from promptscale.config.tasks import SUPER_GLUE
from promptscale.config.tasks import task as task_named
from promptscale.errors import ResultsError
from promptscale.reporting import paper
from promptscale.reporting.context import Context
from promptscale.reporting.provenance import provenance
from promptscale.reporting.runs_table import TRAINING_METRICS
from promptscale.reporting.tables.cells import misprint_notes, notes, spread
from promptscale.reporting.tables.table import DAGGER, Cell, Table

_METRICS = {"accuracy": "acc.", "f1_macro": "F1", "em": "EM", "f1a": "F1a", "f1": "F1"}
_NOTE = (
    "Best: the prompt of the highest task score, on the development set that it is scored on. "
    "Ensemble: a majority vote, ties to the prompt of the lowest seed."
)


def build(context: Context) -> Table:
    """The table per task and metric, and SuperGLUE's mean, with the paper's numbers beside ours.

    Raises:
      ResultsError: there is no ensemble of all eight tasks, or runs of several origins or labels.
    """
    single, ensembles = _members(context)
    voted = ensembles.set_index(["eval_task", "metric"])["value"]
    values = single.set_index(["eval_task", "metric", "seed"])["value"].sort_index()
    for task in SUPER_GLUE:
        if (task, "score") not in voted:
            raise ResultsError(f"The results have no ensemble on {task} for Table 3; run it.")
    best = {task: values[task, "score"].idxmax() for task in SUPER_GLUE}
    misprints = paper.errata("table3")
    records: list[dict[str, Cell]] = []
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
        columns = ("average", "best", "ensemble")
        marks = {column: DAGGER * ((task, column) in misprints) for column in columns}
        records.append({
            "Dataset": name,
            "Average": spread(means),
            "Best": f"{top:.1f}",
            "Ensemble": f"{together:.1f}",
            "Prompts": len(means),
            **{f"{name.title()} (paper)": f"{printed[name]}{mark}" for name, mark in marks.items()},
        })  # fmt: skip
    return Table(
        number=3,
        title=f"Single prompts, the best of them, and their ensemble. {context.caption(single)}",
        records=records,
        notes=(_NOTE, *misprint_notes(misprints), *notes(context, single)),
    )


def _members(context: Context) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The selected rows of the single prompts and of their ensemble, at the largest such size."""
    runs = context.runs
    selected = runs[runs["selected"] & ~runs["metric"].isin(TRAINING_METRICS)]
    ensembles = selected[selected["method"] == "prompt_ensemble"]
    if ensembles.empty:
        raise ResultsError("The results have no ensemble of prompts.")
    size = context.largest(ensembles["size"])
    voted = ensembles[ensembles["size"] == size]
    single = selected[context.has_default(selected) & (selected["size"] == size)]
    single = single[single["pretraining_seed"].isin(voted["pretraining_seed"])]
    single = single[single["task"].isin(SUPER_GLUE) & (single["task"] == single["eval_task"])]
    provenance(pd.concat([single, ensembles]))
    return single, voted
