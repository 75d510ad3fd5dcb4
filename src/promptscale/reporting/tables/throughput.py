"""Figure 2 and the ensembles of section 6 as measurements: a batch of several prompts."""

import pandera.pandas as pa

from promptscale.reporting import csv_schema
from promptscale.reporting.context import Context
from promptscale.reporting.csv_schema import at_least_zero, between, choice
from promptscale.reporting.tables.table import Table

_NOTES = (
    (
        "The same requests on the same frozen model. Tasks: all tasks in a batch, each example "
        "after its task's prompt, or a batch per task, as models tuned per task would need. "
        "Ensemble: an input after each of a task's prompts in a batch, or a pass per prompt."
    ),
    "Same outputs: requests whose generated tokens are identical in both.",
)
_WORKS = {"tasks": "a task each", "ensemble": "an ensemble"}
_SERVING = pa.DataFrameSchema(
    {
        "size": pa.Column(None),
        "work": choice(("tasks", "ensemble")),
        **dict.fromkeys(("prompts", "requests", "per_prompt"), at_least_zero("int64")),
        "identical": between(0.0, 1.0),
        "together_per_second": at_least_zero("float64"),
        "separate_per_second": at_least_zero("float64"),
        "device": pa.Column(None),
        "origin": pa.Column(None),
        "label": pa.Column(None),
    }
)


def build(context: Context) -> Table:
    """The table by size of the batch.

    Raises:
      ResultsError: rows of several origins or labels.
    """
    serving = csv_schema.read(context.path("serving"), _SERVING, ["size", "work", "per_prompt"])
    records = [
        {
            "Prompts": f"{row['prompts']}, {_WORKS[row['work']]}",
            "Requests at once": row["per_prompt"] * row["prompts"],
            "Of each prompt": row["per_prompt"],
            "Same outputs": f"{100 * row['identical']:.1f}%",
            "Together (per s)": round(row["together_per_second"]),
            "By prompt (per s)": round(row["separate_per_second"]),
            "Gain": f"{row['together_per_second'] / row['separate_per_second']:.2f}",
            "Device": row["device"],
        }
        for row in serving.to_dict("records")
    ]
    title = f"Several prompts on a frozen model ({serving['size'].iloc[0]})"
    return Table(title=f"{title}. {context.caption(serving)}", records=records, notes=_NOTES)
