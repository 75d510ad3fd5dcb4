"""Every dataset of the paper under its TFDS name, version and splits, with generated rows."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from random import Random

from promptscale.config.tasks import MRQA, TASKS
from promptscale.data.raw.miniature import classification, corpus, question_answering
from promptscale.data.raw.miniature.world import Row

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
    """A TFDS dataset with generated rows."""

    tfds_name: str  # the name that `tfds.load` takes, with the version
    splits: dict[str, str]  # by TFDS's split, the field of `Sizes` with the number of its rows
    rows: Rows  # `rows(rng, count)` yields rows as the real builder does


def _rows(make: Callable[[Random, int], Row]) -> Rows:
    """Rows that `make` makes from the generator and the row's index."""
    return lambda rng, count: (make(rng, index) for index in range(count))


def _indexed(make: Callable[[Random], Row]) -> Rows:
    """Rows that `make` makes from the generator, with the row's index in the field `idx`."""
    return _rows(lambda rng, index: make(rng) | {"idx": index})


def _c4(rng: Random, count: int) -> Iterator[Row]:
    for index, text in enumerate(corpus.documents(rng, count)):
        yield {
            "text": text,
            "url": f"miniature/{index}",
            "content-type": "text/plain",
            "content-length": str(len(text)),
            "timestamp": "2019-04-01T00:00:00Z",
        }


_INDEXED = ("boolq", "cb", "copa", "rte", "wic", "wsc", "mrpc", "qqp", "sst2")
_ROWS: dict[str, Rows] = {
    **{task: _indexed(getattr(classification, task)) for task in _INDEXED},
    "multirc": classification.multirc,
    "dpr": _rows(lambda rng, _: classification.dpr(rng)),
    "record": _rows(question_answering.record),
    "squad": _rows(question_answering.squad),
    **{task: _rows(functools.partial(question_answering.mrqa, task)) for task in MRQA},
}
_SIZES = {"train": "train", "validation": "evaluation"}
C4 = Dataset("c4/en:2.2.0", {"train": "corpus_train", "validation": "corpus_validation"}, _c4)

DATASETS = [
    Dataset(
        task.tfds, {split: _SIZES[ours] for ours, split in task.splits.items()}, _ROWS[task.name]
    )
    for task in TASKS.values()
]
DATASETS.append(C4)


def split_rows(dataset: Dataset, split: str, sizes: Sizes, seed: int) -> Iterator[Row]:
    """The rows of a split, which depend on the seed, the dataset's name and the split only."""
    rng = Random(f"{seed} {dataset.tfds_name} {split}")
    return dataset.rows(rng, getattr(sizes, dataset.splits[split]))
