"""Section 3's error modes: what prompts make the model write, by size and pre-training."""

import pandas as pd

from promptscale.config.axes import AXES
from promptscale.reporting import error_modes
from promptscale.reporting.context import Context
from promptscale.reporting.tables.table import Cell, Table

_COLUMNS = {
    "label": "Label",
    "empty": "Empty",
    "sentinel": "Sentinel",
    "copy": "Copy of the input",
    "other": "Other text",
}
_NOTE = (
    "Percent of the predictions at the selected step; each task counts alike. Tasks without labels "
    "are left out. Copy of the input: whole words that stand in the input in this order."
)


def build(context: Context) -> Table:
    """The table by size and pre-training objective.

    Raises:
      ResultsError: the table of counts is missing or not well-formed, or has several origins or
        labels.
    """
    counts, axis = error_modes.read(context.path("error_modes")), AXES["pretraining_objective"]
    curves = [axis.curve(row, context.default) for row in counts.to_dict("records")]
    runs = counts.assign(curve=pd.Series(curves)).pivot_table(
        index=["size", "curve", "task", "seed"], columns="mode", values="count", aggfunc="sum"
    )
    shares = 100 * runs.div(runs.sum(axis=1), axis=0)
    records: list[dict[str, Cell]] = []
    for size in sorted(set(counts["size"]), key=context.num_parameters):
        of_size = shares.loc[size]
        for curve, title in axis.labels(
            sorted(set(of_size.index.get_level_values("curve")))
        ).items():
            of_curve: pd.DataFrame = of_size.loc[curve]
            means = of_curve.groupby("task").mean().mean()
            never = int((of_curve["label"] == 0).sum())
            records.append({
                "Size": size,
                "Pre-training": title,
                **{name: f"{means[mode]:.1f}" for mode, name in _COLUMNS.items()},
                "Runs without a label": f"{never} of {len(of_curve)}",
            })  # fmt: skip
    title = f"Outputs of tuned prompts by pre-training objective. {context.caption(counts)}"
    return Table(title=title, records=records, notes=(_NOTE,))
