"""The scores of the authors' published prompts, beside the scores that they published with them."""

import pandera.pandas as pa

from promptscale.config.tasks import TASKS
from promptscale.reporting import csv_schema, paper
from promptscale.reporting.context import Context
from promptscale.reporting.csv_schema import between, choice
from promptscale.reporting.tables.table import Cell, Table

_NOTES = (
    "Published: the scores in the README beside the prompts.",
    (
        "An example: the points that one example more or less changes an accuracy by. Differences "
        "of a few examples come from the rounding of other machines."
    ),
)
_SCORES = pa.DataFrameSchema(
    {
        "task": choice(TASKS),
        "metric": pa.Column(None),
        "value": between(0.0, 100.0),
        "examples": pa.Column("int64", pa.Check.ge(1, error="it must be 1 or more")),
        "size": pa.Column(None),
        "checkpoint": pa.Column(None),
        "origin": pa.Column(None),
        "label": pa.Column(None),
    }
)


def build(context: Context) -> Table:
    """The table by task and metric; a score that the authors did not publish has a dash.

    Raises:
      ResultsError: the scores are missing or not well-formed, or of several origins or labels.
    """
    scores = csv_schema.read(context.path("published_prompts"), _SCORES, ["task", "metric"])
    printed = paper.numbers("published_prompts").astype({"printed": str})
    published = printed.set_index(["task", "metric"])["printed"].to_dict()
    records: list[dict[str, Cell]] = []
    for row in scores.to_dict("records"):
        text = published.get((row["task"], row["metric"]))
        digits = len(text.partition(".")[2]) if text else 1
        records.append({
            "Task": TASKS[row["task"]].title,
            "Metric": row["metric"],
            "Published": text,
            "Ours": f"{row['value']:.{digits}f}",
            "Difference": f"{row['value'] - float(text):+.{digits}f}" if text else None,
            "Examples": row["examples"],
            "An Example": f"{100 / row['examples']:.2f}",
        })  # fmt: skip
    model = f"{scores['size'].iloc[0]} after {scores['checkpoint'].iloc[0]}"
    title = f"Published prompts on {model}. {context.caption(scores)}"
    return Table(title=title, records=records, notes=_NOTES)
