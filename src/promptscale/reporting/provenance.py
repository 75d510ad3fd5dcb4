"""The origin and label of results, which are never mixed, and the caption that they give."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from promptscale.config.sizes import PAPER_SIZES, SIZES, ModelConfig
from promptscale.errors import ResultsError

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Provenance(NamedTuple):
    """The origin of the data, `generated` or `real`, and the free label of the results."""

    origin: str
    label: str


def provenance(frame: pd.DataFrame) -> Provenance:
    """The origin and label that all rows share.

    Raises:
      ResultsError: the rows have several origins or labels.
    """
    for column in Provenance._fields:
        values = sorted(set(frame[column]))
        if len(values) != 1:
            raise ResultsError(
                f"The results mix the {column}s {', '.join(values)}; each needs a table of its own."
            )
    return Provenance(*(frame[column].iloc[0] for column in Provenance._fields))


def is_papers(frame: pd.DataFrame, architectures: Mapping[str, ModelConfig] = SIZES) -> bool:
    """Whether results are of the paper's configuration: real data, the paper's sizes of T5.

    `frame` has the columns `size`, `origin` and `label`.

    Raises:
      ResultsError: the rows have several origins or labels.
    """
    return provenance(frame).origin == "real" and all(
        size in PAPER_SIZES and architectures.get(size) == PAPER_SIZES[size]
        for size in set(frame["size"])
    )


def caption(frame: pd.DataFrame, architectures: Mapping[str, ModelConfig] = SIZES) -> str:
    """A sentence that says what results are of: their label, data and number of models.

    It says that they are not the paper's results, unless they are of the paper's configuration.
    `frame` has the columns `size`, `origin` and `label`.

    Raises:
      ResultsError: the rows have several origins or labels.
    """
    origin, label = provenance(frame)
    sizes = set(frame["size"])
    number = _WORDS[len(sizes)] if len(sizes) < len(_WORDS) else str(len(sizes))
    noun = "tiny T5" if origin == "generated" else "model"
    models = f"{number} {noun}{'' if len(sizes) == 1 else 's'}"
    note = "" if is_papers(frame, architectures) else ": not the paper's results"
    return f"{label} ({origin} data, {models}){note}"
