"""The words of each task's prompts (section 7): what a task's neighbours have and others' lack."""

from typing import Any

import pandas as pd

from promptscale.config.tasks import TASKS
from promptscale.reporting import neighbour_words
from promptscale.reporting.context import Context
from promptscale.reporting.tables.table import Cell, Table

_WORDS, _LEAST_Z = 8, 1.96  # listed at most, and from this z-score on
_NOTES = (
    (
        "In brackets: prompt tokens of this task that have the word among their five nearest "
        "neighbours, and tokens of all other tasks. Words are in the order of the z-score of their "
        "log-odds ratio, this task against the others (Monroe, Colaresi and Quinn, 2008), from "
        "1.96 on; class labels of the task are left out. A few of many words reach that by chance."
    ),
    "The last columns are the words that the paper names for BoolQ, with their z-score.",
)


def build(context: Context) -> Table:
    """The table by task at the largest size.

    Raises:
      ResultsError: the table of words is missing or not well-formed, or of several origins.
    """
    words = neighbour_words.read(context.path("domain_words"))
    words = words[words["size"] == context.largest(words["size"])]
    records: list[dict[str, Cell]] = []
    for task, rows in words.groupby("task", sort=True):
        foremost = rows[rows["z"] > _LEAST_Z].sort_values("z", ascending=False).head(_WORDS)
        by_word = rows.set_index("word")
        records.append({
            "Task": TASKS[str(task)].title,
            "Words": ", ".join(map(_counted, foremost.to_dict("records"))) or None,
            **{word: _paper_word(by_word, word) for word in neighbour_words.PAPERS_WORDS},
        })  # fmt: skip
    title = f"Words of the prompts of {words['size'].iloc[0]} by task"
    return Table(title=f"{title}. {context.caption(words)}", records=records, notes=_NOTES)


def _counted(row: dict[Any, Any]) -> str:
    return f"{row['word']} ({row['tokens']}, {row['tokens_elsewhere']})"


def _paper_word(by_word: pd.DataFrame, word: str) -> str | None:
    if word not in by_word.index:
        return None
    row = by_word.loc[word]
    return f"{row['z']:+.1f} ({row['tokens']}, {row['tokens_elsewhere']})"
