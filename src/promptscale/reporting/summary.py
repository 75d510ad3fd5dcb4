"""The results on one screen: mean scores by method and size, and the verdicts of the claims."""

from pathlib import Path

import pandas as pd

from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting import csv_schema, runs_table
from promptscale.reporting.comparisons import by_size
from promptscale.reporting.context import Context

METHODS = {
    "prompt_tuning": "Prompt tuning",
    "model_tuning": "Model tuning",
    "model_tuning_multitask": "Multi-task model tuning",
    "prompt_design": "Prompt design",
}
_WIDTH = 100  # characters of a line


def summary(context: Context, claims: Path) -> list[str]:
    """The lines of the screen; `claims` is the table of the claims' verdicts.

    Raises:
      ResultsError: a table is missing, damaged, or of several origins or labels.
    """
    scores = context.scores
    shown = scores["method"].isin([*METHODS][1:]) | context.has_default(scores)
    means = by_size(context, scores[shown], "method")
    return [
        f"{context.caption(means)}.",
        "",
        *_score_lines(context, means),
        "",
        *_verdict_lines(csv_schema.read_texts(claims, "claim", "statement", "verdict")),
    ]


def _score_lines(context: Context, means: pd.DataFrame) -> list[str]:
    """A line per method, with mean and standard deviation over seeds at each size."""
    tasks = means["tasks"].iloc[0].split()
    of = "SuperGLUE" if tasks == list(SUPER_GLUE) else ", ".join(tasks)
    table = runs_table.aggregate(means, ["method", "size", "parameters"])
    sizes = list(table.sort_values("parameters")["size"].drop_duplicates())
    rows = [[f"Mean dev score on {of}", *sizes]]
    for method, name in METHODS.items():
        cells = table[table["method"] == method].set_index("size")
        if len(cells):
            rows.append([name, *(_score(cells, size) for size in sizes)])
    floor = context.majority[tasks].mean()
    rows.append(["Best constant answer", *[f"{floor:.1f}"] * len(sizes)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def _score(cells: pd.DataFrame, size: str) -> str:
    if size not in cells.index:
        return "-"
    mean, deviation = cells[["mean", "sd"]].loc[size].to_numpy(float)
    return f"{mean:.1f}" if pd.isna(deviation) else f"{mean:.1f} ± {deviation:.1f}"


def _verdict_lines(claims: pd.DataFrame) -> list[str]:
    """The number of claims by verdict, and the statements of those that were decided."""
    counts = claims["verdict"].value_counts()
    lines = [f"The paper's claims: {', '.join(f'{n} {verdict}' for verdict, n in counts.items())}"]
    for verdict in ("holds", "does not hold"):
        for statement in claims.loc[claims["verdict"] == verdict, "statement"]:
            text = f"  {verdict}: {statement}"
            lines.append(text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…")
    return lines
