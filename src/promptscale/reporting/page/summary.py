"""What the page says in its text: what was run, the verdicts, the costs, and the documents."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pandera.pandas as pa
from markdown_it import MarkdownIt

from promptscale.config import axes
from promptscale.errors import ResultsError
from promptscale.reporting import csv_schema, runs_table
from promptscale.reporting.claims import HOLDS
from promptscale.reporting.context import Context
from promptscale.reporting.csv_schema import number
from promptscale.storage.text_files import read_lines

# Where the page shows what a claim of a section is about.
_EVIDENCE = {
    "3.1": ("Figure 1", "figure1"), "3.2": ("Figure 3", "figure3a"), "4": ("Figure 4", "figure4"),
    "5": ("Table 1", "table1"), "6": ("Table 3", "table3"), "7": ("the neighbours", "neighbours"),
}  # fmt: skip

_NUMBERS = pa.DataFrameSchema({name: number("") for name in ("value", "low", "high")})


class Document(NamedTuple):
    """A Markdown document as HTML: its name, the title of its first line, and the rest."""

    name: str
    title: str
    html: str


def document(path: Path) -> Document:
    """Renders a Markdown file, without HTML of its own; links to other files become their texts.

    Raises:
      ResultsError: the file cannot be read.
    """
    text = "".join(read_lines(path, ResultsError))
    text = re.sub(r"\[([^]]*)\]\((?!https?:)[^)]*\)", r"\1", text)
    title, _, rest = text.partition("\n")
    rest = re.sub(r"^#", "###", rest, flags=re.MULTILINE)  # below the headings of the page
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return Document(path.stem, title.strip("#* "), parser.render(rest))


def claims(path: Path, anchors: Sequence[str]) -> list[dict[str, Any]]:
    """The claims with their verdicts: the columns of `claims.csv` as texts for people.

    `anchors` are the parts of the page that a claim can refer to.

    Raises:
      ResultsError: the file is missing or not well-formed.
    """
    listed: list[dict[str, Any]] = []
    needed = ("claim", "section", "statement", "statistic", "n", "verdict")
    table = csv_schema.read_texts(path, *needed, *_NUMBERS.columns)
    numbers = csv_schema.conform(table[list(_NUMBERS.columns)], _NUMBERS, str(path))
    records: list[Any] = table.to_dict("records")
    for row, (value, low, high) in zip(records, numbers.to_numpy().tolist(), strict=True):
        shown = "–" if pd.isna(value) else f"{value:.3g}"
        interval = f"[{low:.3g}, {high:.3g}]" if low < high else ""
        evidence = _EVIDENCE.get(row["section"], ("", ""))
        listed.append({
            **row, "value": shown, "interval": interval, "runs": _runs(row),
            "holds": row["verdict"] == HOLDS,
            "evidence": evidence if evidence[1] in anchors else None,
        })  # fmt: skip
    return listed


def _runs(claim: Mapping[str, str]) -> str:
    """How many runs each mean of a claim has at least; nothing where the claim needs none."""
    if claim["n"] == "1":
        return "1 ensemble" if claim["claim"].startswith("ensemble_") else "1 run"
    return "" if claim["n"] == "0" else f"{claim['n']} runs"


def runs(context: Context) -> dict[str, Any]:
    """What was run: methods with their numbers of runs, sizes, tasks, checkpoints and seeds.

    `tasks` were tuned on; `further_tasks` are only those that models of other tasks were evaluated
    on.
    """
    frame = context.runs
    sizes = sorted(set(frame["size"]), key=context.num_parameters)
    tuned = set(runs_table.in_domain(context.scores)["eval_task"])
    by_method = frame.groupby("method")["run"].nunique()
    return {
        "origin": frame["origin"].iloc[0],
        "label": frame["label"].iloc[0],
        "methods": by_method.to_dict(),
        "total": int(by_method.sum()),
        "sizes": {size: context.num_parameters(size) for size in sizes},
        "tasks": sorted(tuned),
        "further_tasks": sorted(set(context.scores["eval_task"]) - tuned),
        "checkpoints": sorted(set(frame["checkpoint"]), key=lambda name: (len(name), name)),
        "seeds": _seeds(context.scores),
        "diverged": sorted(context.diverged),
    }


def _seeds(scores: pd.DataFrame) -> str:
    """How many seeds a setting has; more of them are for the prompts of ensembles."""
    ensembles = scores["method"] == "prompt_ensemble"
    setting = ["method", "size", "task", "checkpoint", *(column.name for column in axes.columns())]
    counts = scores[~ensembles].groupby(setting, dropna=False)["seed"].nunique()
    least, most = counts.min(), counts.max()
    if least == most:
        return str(least)
    return f"{least}, {most} for ensembles" if ensembles.any() else f"{least} to {most}"


def costs(context: Context) -> list[dict[str, Any]]:
    """The measured time of all trainings by method and size, in hours."""
    seconds = ["wall_seconds", "accelerator_seconds"]
    last = context.runs.groupby(["method", "size", "run"], as_index=False)[seconds].max()
    rows = last.groupby(["method", "size"], as_index=False).agg(
        runs=("run", "size"),
        wall=("wall_seconds", "sum"),
        accelerator=("accelerator_seconds", "sum"),
    )
    rows = rows.assign(parameters=rows["size"].map(context.num_parameters))
    rows = rows[rows["wall"] > 0].sort_values(["method", "parameters"])
    hours = rows.assign(wall=rows["wall"] / 3600, accelerator=rows["accelerator"] / 3600)
    return [{str(name): value for name, value in row.items()} for row in hours.to_dict("records")]
