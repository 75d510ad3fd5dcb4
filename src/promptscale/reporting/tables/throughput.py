"""Figure 2 as measurements: mixed-task batches on a frozen model against a batch per task."""

from collections.abc import Mapping

import pandas as pd

from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.reporting.tables.cells import titled
from promptscale.reporting.tables.table import Table

_NOTES = (
    (
        "The same requests on the same frozen model: all tasks in one batch, each example behind "
        "its own task's prompt, or a batch per task, as models tuned per task would need."
    ),
    "Same outputs: requests whose generated tokens are identical in both.",
)


def build(serving: pd.DataFrame, architectures: Mapping[str, ModelConfig] = SIZES) -> Table:
    """The table by size of the batch.

    Args:
      serving: the rows that `experiments.serving.run` writes.
      architectures: the architecture of every size.
    Raises:
      ResultsError: rows of several origins or labels.
    """
    rows = []
    for row in serving.to_dict("records"):
        mixed, separate = row["mixed_per_second"], row["separate_per_second"]
        rows.append((
            row["per_task"] * row["tasks"],
            row["per_task"],
            f"{100 * row['identical']:.1f}%",
            round(mixed),
            round(separate),
            f"{mixed / separate:.2f}",
        ))  # fmt: skip
    first = serving.iloc[0]
    return Table(
        title=titled(
            f"Serving {first['tasks']} tasks with one frozen model ({first['size']})",
            serving,
            architectures,
        ),
        columns=(
            "Requests at once", "Of each task", "Same outputs", "Mixed (per s)",
            "Task by task (per s)", "Gain",
        ),
        rows=tuple(rows),
        notes=_NOTES,
    )  # fmt: skip
