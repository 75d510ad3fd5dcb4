"""How many tokens the examples of the data sets have, from the package's lengths.yaml."""

import functools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pydantic
import yaml
from pydantic import Field

from promptscale.config.values import Positive, Strict
from promptscale.errors import ConfigError

TABLE = Path(__file__).with_name("lengths.yaml")

_Tokens = Annotated[float, Field(gt=0)]
_Parts = Annotated[tuple[_Tokens, ...], Field(min_length=1)]


class Lengths(Strict):
    """The lengths of the examples of a split, in tokens with EOS.

    Attributes:
      source: the data that the lengths are those of.
      examples: the number of examples after preparation.
      inputs: the mean length of the inputs in each of several equal parts of the examples, which
        are sorted by the length of their inputs.
      target: the mean length of the targets.
      longest_target: the length of the longest target.
    """

    source: str
    examples: Positive
    inputs: _Parts
    target: _Tokens
    longest_target: Positive

    @property
    def input(self) -> float:
        """The mean length of the inputs."""
        return sum(self.inputs) / len(self.inputs)


class _Corpus(Strict):
    """The lengths of documents without EOS, in equal parts as those of `Lengths.inputs`."""

    source: str
    documents: _Parts


class _Table(Strict):
    corpus: _Corpus
    splits: dict[str, Lengths]  # by task and split, such as `cb/train`


@functools.cache
def _table() -> _Table:
    try:
        content: Any = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
        return _Table.model_validate(content)
    except (OSError, yaml.YAMLError, pydantic.ValidationError) as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"The table {TABLE} cannot be used: {problem}.") from error


def lengths(task: str, split: str) -> Lengths:
    """The lengths of a task's `split`; the task `generated` stands for every generated task.

    Raises:
      ConfigError: the table is missing or malformed, or has no such split.
    """
    splits: Mapping[str, Lengths] = _table().splits
    if f"{task}/{split}" not in splits:
        raise ConfigError(f"{TABLE} has no lengths of {task}/{split}; add them to price its jobs.")
    return splits[f"{task}/{split}"]


def documents() -> tuple[float, ...]:
    """The lengths of C4's documents without EOS, as means of equal parts, which are sorted."""
    return _table().corpus.documents


def segments(longest: float) -> dict[float, float]:
    """The lengths of the segments that C4's documents are cut into, with their shares of all.

    A document gives segments of `longest` tokens, and a shorter segment of the tokens that remain.
    """
    counts: Counter[float] = Counter()
    for length in documents():
        whole, rest = divmod(length, longest)
        counts.update({longest: int(whole), rest: 1})
    del counts[0.0]
    return {length: count / counts.total() for length, count in counts.items()}
