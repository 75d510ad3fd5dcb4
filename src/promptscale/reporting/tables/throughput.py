"""Figure 2 as measurements: mixed-task batches on a frozen model against a batch per task."""

import pandera.pandas as pa

from promptscale.reporting import csv_schema
from promptscale.reporting.context import Context
from promptscale.reporting.csv_schema import at_least_zero, between
from promptscale.reporting.tables.table import Table

_NOTES = (
    (
        "The same requests on the same frozen model: all tasks in one batch, each example behind "
        "its own task's prompt, or a batch per task, as models tuned per task would need."
    ),
    "Same outputs: requests whose generated tokens are identical in both.",
)
_SERVING = pa.DataFrameSchema(
    {
        "size": pa.Column(None),
        **dict.fromkeys(("tasks", "requests", "per_task"), at_least_zero("int64")),
        "identical": between(0.0, 1.0),
        "mixed_per_second": at_least_zero("float64"),
        "separate_per_second": at_least_zero("float64"),
        "origin": pa.Column(None),
        "label": pa.Column(None),
    }
)


def build(context: Context) -> Table:
    """The table by size of the batch.

    Raises:
      ResultsError: rows of several origins or labels.
    """
    serving = csv_schema.read(context.path("serving"), _SERVING, ["size", "per_task"])
    records = [
        {
            "Requests at once": row["per_task"] * row["tasks"],
            "Of each task": row["per_task"],
            "Same outputs": f"{100 * row['identical']:.1f}%",
            "Mixed (per s)": round(row["mixed_per_second"]),
            "Task by task (per s)": round(row["separate_per_second"]),
            "Gain": f"{row['mixed_per_second'] / row['separate_per_second']:.2f}",
        }
        for row in serving.to_dict("records")
    ]
    first = serving.iloc[0]
    title = f"Serving {first['tasks']} tasks with one frozen model ({first['size']})"
    return Table(title=f"{title}. {context.caption(serving)}", records=records, notes=_NOTES)
