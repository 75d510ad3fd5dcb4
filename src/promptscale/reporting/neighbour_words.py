"""The words that are neighbours of one task's prompts more often than of the others' (section 7).

The paper finds words such as science, technology and engineering as neighbours of BoolQ's prompts.
To call a word a task's, it must be rarer with the other tasks. The measure is the log-odds ratio
with an informative Dirichlet prior of Monroe, Colaresi and Quinn (2008), "Fightin' Words",
equations 16, 22 and 23: the prior is the distribution of words over the prompts of all tasks.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from promptscale.config.tasks import TASKS
from promptscale.reporting import csv_schema, neighbour_lists
from promptscale.reporting.csv_schema import at_least_zero, choice, number
from promptscale.reporting.provenance import provenance
from promptscale.storage.atomic import atomic_write

PAPERS_WORDS = ("science", "technology", "engineering")  # that the paper names for BoolQ
_LISTED = 20  # words of a task that the table holds, besides those of the paper
_SPACE = "▁"  # begins a piece that follows a space
_KEY = ["size", "task", "word"]
_TOKEN = ["initialization", "prompt_length", "seed", "row"]  # tells the tokens of a task apart
SCHEMA = pa.DataFrameSchema(
    {
        "size": pa.Column(None),
        "task": choice(TASKS),
        "word": pa.Column(None),
        **dict.fromkeys(("tokens", "tokens_elsewhere"), at_least_zero("int64")),
        "log_odds": number(),
        "z": number(),
        "origin": pa.Column(None),
        "label": pa.Column(None),
    }
)


def word_of(piece: str) -> str:
    """The word of a piece: forms that differ in case or in the mark of a space are the same."""
    return piece.removeprefix(_SPACE).lower()


def counts(neighbours: pd.DataFrame) -> pd.DataFrame:
    """Counts the prompt tokens that have a word among their neighbours.

    Words without a letter are left out, and so are the words of the task's class labels: they
    persist, whatever the task is about.

    Args:
      neighbours: the rows of `experiments.interpretability.run`.
    Returns:
      Columns `size`, `task`, `word` and `tokens`.
    """
    frame = neighbours.assign(word=neighbours["piece"].map(word_of))
    frame = frame[frame["word"].str.contains("[a-z]", regex=True) & ~frame["in_labels"]]
    tokens = frame.drop_duplicates([*_KEY, *_TOKEN])
    return tokens.groupby(_KEY).size().rename("tokens").reset_index()


def log_odds(counted: pd.DataFrame) -> pd.DataFrame:
    """Adds each word's log-odds ratio, of its task against the other tasks of the size.

    Args:
      counted: the columns of `counts`.
    Returns:
      The rows of `counted` with `tokens_elsewhere` (of the other tasks), `log_odds` (natural
      logarithm) and `z`, its estimate over its standard deviation. The neighbours of a token are
      not independent, so `z` orders words and is no test.
    """
    of_word = counted.groupby(["size", "word"])["tokens"].transform("sum")
    of_task = counted.groupby(["size", "task"])["tokens"].transform("sum")
    of_size = counted.groupby("size")["tokens"].transform("sum")
    inside, outside = counted["tokens"], of_word - counted["tokens"]
    # The prior weighs as much as a task's mean number of tokens.
    tasks = counted.groupby("size")["task"].transform("nunique")
    prior, weight = of_word / tasks, of_size / tasks

    def odds(count: pd.Series, total: pd.Series) -> pd.Series:
        return (count + prior) / (total + weight - count - prior)

    difference = np.log(odds(inside, of_task) / odds(outside, of_size - of_task))
    deviation = np.sqrt(1 / (inside + prior) + 1 / (outside + prior))
    return counted.assign(tokens_elsewhere=outside, log_odds=difference, z=difference / deviation)


def combine(neighbours: Sequence[Path], summary: pd.DataFrame, path: Path) -> None:
    """Writes the words of several sizes: each task's foremost, and those that the paper names.

    Args:
      neighbours: the tables of neighbours of `interpretability.run`, one per size.
      summary: the summary of the same prompts (`neighbours.SCHEMA`), for their origin and label.
      path: the table of `SCHEMA`; it has no rows of a size with a single task.
    """
    frames = map(neighbour_lists.read_all, neighbours)
    words = log_odds(counts(pd.concat(frames, ignore_index=True)))
    words = words[words.groupby("size")["task"].transform("nunique") > 1]
    words = words.sort_values(["size", "task", "z"], ascending=[True, True, False])
    foremost = words.groupby(["size", "task"]).cumcount() < _LISTED
    words = words[foremost | words["word"].isin(PAPERS_WORDS)]
    source = provenance(summary)._asdict()
    with atomic_write(path) as partial:
        words.assign(**source)[list(SCHEMA.columns)].to_csv(partial, index=False)


def read(path: Path) -> pd.DataFrame:
    """Reads a table of words.

    Raises:
      ResultsError: the table is missing or not well-formed.
    """
    return csv_schema.read(path, SCHEMA, _KEY)
