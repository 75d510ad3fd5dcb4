"""Every dataset of the paper under its TFDS name, version and splits, with generated rows."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from promptscale.data.raw.miniature import corpus, others, superglue

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Rows per split; the corpus in documents. Splits for evaluation have at least 500 rows."""

    train: int = 4_000
    evaluation: int = 500
    corpus_train: int = 24_000
    corpus_validation: int = 100


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A TFDS dataset: `rows(rng, count)` yields what the real builder would.

    Attributes:
      name, config, version: TFDS's; `config` is empty where the dataset has none.
      splits: TFDS's split names, with the field of `Sizes` that gives their rows.
      rows: the generator.
    """

    name: str
    config: str
    version: str
    splits: dict[str, str]
    rows: Callable[[Random, int], Iterator[Row]]

    @property
    def tfds_name(self) -> str:
        """What `tfds.load` takes."""
        return "/".join(filter(None, (self.name, self.config))) + f":{self.version}"


def _super_glue(config: str) -> Dataset:
    def rows(rng: Random, count: int) -> Iterator[Row]:
        return superglue.rows(config, rng, count)

    return Dataset("super_glue", config, "1.0.2", _SUPERVISED, rows)


def _each(make: Callable[[Random], Row], key: str | None = None) -> Callable:
    """Rows made one at a time; `key` is the builder's field for the row's number, if any."""

    def rows(rng: Random, count: int) -> Iterator[Row]:
        for index in range(count):
            yield make(rng) | ({} if key is None else {key: index})

    return rows


def _squad(rng: Random, count: int) -> Iterator[Row]:
    for index in range(count):
        yield others.squad(rng) | {"id": f"miniature-{index}"}


def _mrqa(config: str) -> Dataset:
    def rows(rng: Random, count: int) -> Iterator[Row]:
        return (others.mrqa(config, rng, index) for index in range(count))

    return Dataset("mrqa", config, "1.0.0", {"test": "evaluation"}, rows)


def _c4(rng: Random, count: int) -> Iterator[Row]:
    for index, text in enumerate(corpus.documents(rng, count)):
        yield {
            "text": text,
            "url": f"miniature/{index}",
            "content-type": "text/plain",
            "content-length": str(len(text)),
            "timestamp": "2019-04-01T00:00:00Z",
        }


_SUPERVISED = {"train": "train", "validation": "evaluation"}

DATASETS = (
    *map(_super_glue, ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc.fixed")),
    Dataset("glue", "mrpc", "1.0.0", _SUPERVISED, _each(others.mrpc, "idx")),
    Dataset("glue", "qqp", "1.0.0", _SUPERVISED, _each(others.qqp, "idx")),
    Dataset("squad", "v1.1", "3.0.0", _SUPERVISED, _squad),
    Dataset(
        "definite_pronoun_resolution",
        "",
        "1.1.0",
        {"train": "train", "test": "evaluation"},
        _each(others.dpr),
    ),
    *map(_mrqa, others.MRQA),
    Dataset(
        "c4",
        "en",
        "2.2.0",
        {"train": "corpus_train", "validation": "corpus_validation"},
        _c4,
    ),
)


def split_rows(dataset: Dataset, split: str, sizes: Sizes, seed: int) -> Iterator[Row]:
    """The rows of one split, the same for the same seed whatever else is generated."""
    rng = Random(f"{seed} {dataset.tfds_name} {split}")
    return dataset.rows(rng, getattr(sizes, dataset.splits[split]))


def corpus_text(sizes: Sizes, seed: int, count: int) -> Iterator[str]:
    """The first `count` documents of the corpus's training split."""
    rows = split_rows(DATASETS[-1], "train", sizes, seed)
    return (row["text"] for row in itertools.islice(rows, count))
