"""Every dataset of the paper under its TFDS name, version and splits, with generated rows."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from promptscale.data.raw.miniature import classification, corpus, question_answering

Row = dict[str, Any]
Rows = Callable[[Random, int], Iterator[Row]]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Rows per split, and documents per split of the corpus.

    MultiRC has two rows per question, so an odd number of rows gives it a row less.
    """

    train: int = 4_000
    evaluation: int = 500
    corpus_train: int = 24_000
    corpus_validation: int = 100


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A TFDS dataset with generated rows.

    Attributes:
      name, config, version: TFDS's; `config` is empty where the dataset has none.
      splits: by TFDS's split, the field of `Sizes` with the number of its rows.
      rows: `rows(rng, count)` yields rows as the real builder does.
    """

    name: str
    config: str
    version: str
    splits: dict[str, str]
    rows: Rows

    @property
    def tfds_name(self) -> str:
        """The name that `tfds.load` takes."""
        return "/".join(filter(None, (self.name, self.config))) + f":{self.version}"


def _rows(make: Callable[[Random, int], Row]) -> Rows:
    """Rows that `make` makes from the generator and the row's index."""
    return lambda rng, count: (make(rng, index) for index in range(count))


def _indexed(make: Callable[[Random], Row]) -> Rows:
    """Rows that `make` makes from the generator, with the row's index in the field `idx`."""
    return _rows(lambda rng, index: make(rng) | {"idx": index})


def _dpr(rng: Random, count: int) -> Iterator[Row]:
    return (classification.dpr(rng) for _ in range(count))


def _mrqa(config: str) -> Dataset:
    make = functools.partial(question_answering.mrqa, config)
    return Dataset("mrqa", config, "1.0.0", {"test": "evaluation"}, _rows(make))


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
_DPR_SPLITS = {"train": "train", "test": "evaluation"}
_C4_SPLITS = {"train": "corpus_train", "validation": "corpus_validation"}
_SUPER_GLUE: dict[str, Rows] = {
    "boolq": _indexed(classification.boolq),
    "cb": _indexed(classification.cb),
    "copa": _indexed(classification.copa),
    "multirc": classification.multirc,
    "record": _rows(question_answering.record),
    "rte": _indexed(classification.rte),
    "wic": _indexed(classification.wic),
    "wsc.fixed": _indexed(classification.wsc),
}
_C4 = Dataset("c4", "en", "2.2.0", _C4_SPLITS, _c4)

DATASETS = (
    *(
        Dataset("super_glue", config, "1.0.2", _SUPERVISED, rows)
        for config, rows in _SUPER_GLUE.items()
    ),
    Dataset("glue", "mrpc", "1.0.0", _SUPERVISED, _indexed(classification.mrpc)),
    Dataset("glue", "qqp", "1.0.0", _SUPERVISED, _indexed(classification.qqp)),
    Dataset("squad", "v1.1", "3.0.0", _SUPERVISED, _rows(question_answering.squad)),
    Dataset("definite_pronoun_resolution", "", "1.1.0", _DPR_SPLITS, _dpr),
    *map(_mrqa, question_answering.MRQA),
    _C4,
)


def split_rows(dataset: Dataset, split: str, sizes: Sizes, seed: int) -> Iterator[Row]:
    """The rows of a split, which depend on the seed, the dataset's name and the split only."""
    rng = Random(f"{seed} {dataset.tfds_name} {split}")
    return dataset.rows(rng, getattr(sizes, dataset.splits[split]))


def corpus_text(sizes: Sizes, seed: int, count: int) -> Iterator[str]:
    """The first `count` documents of the corpus's training split."""
    rows = split_rows(_C4, "train", sizes, seed)
    return (row["text"] for row in itertools.islice(rows, count))
