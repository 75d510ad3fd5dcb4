"""Writes the miniature world as prepared TFDS datasets, and its vocabulary."""

import itertools
from pathlib import Path

import tensorflow_datasets as tfds

from promptscale.data.raw.miniature import datasets
from promptscale.data.raw.miniature.train_vocabulary import train_vocabulary
from promptscale.errors import DataError
from promptscale.storage.atomic import atomic_directory
from promptscale.storage.events import counted

_VOCABULARY_DOCUMENTS = 2_500


def generate(
    data_dir: Path, vocabulary: Path, seed: int, sizes: datasets.Sizes | None = None
) -> None:
    """Generates a vocabulary, and all datasets as `tfds.load(..., data_dir=data_dir)` reads them.

    The same seed and sizes give the same rows. Files are written atomically.

    Raises:
      DataError: `data_dir` exists already.
    """
    sizes = sizes or datasets.Sizes()
    if data_dir.exists():
        raise DataError(f"{data_dir} exists already; remove it to generate the miniature again.")
    rows = datasets.split_rows(datasets.C4, "train", sizes, seed)
    documents = [row["text"] for row in itertools.islice(rows, _VOCABULARY_DOCUMENTS)]
    train_vocabulary(documents, vocabulary)
    with atomic_directory(data_dir) as partial:
        for dataset in counted(datasets.DATASETS, "the generated datasets"):
            _store(dataset, partial, sizes, seed)


class _Generated(tfds.dataset_builders.AdhocBuilder, skip_registration=True):  # type: ignore[call-arg]
    """TFDS's builder for rows in memory, which downloads nothing and so has no checksums."""

    url_infos = None


def _store(dataset: datasets.Dataset, data_dir: Path, sizes: datasets.Sizes, seed: int) -> None:
    """Writes a dataset with the real builder's features, name and version."""
    full_name, version = dataset.tfds_name.split(":")
    name, _, config = full_name.partition("/")
    options = {"version": version, "config": config or None, "data_dir": data_dir}
    _Generated(
        name=name,
        features=tfds.builder_cls(name)(**options).info.features,
        split_datasets={
            split: enumerate(datasets.split_rows(dataset, split, sizes, seed))
            for split in dataset.splits
        },
        description="promptscale's miniature world (generated)",
        **options,
    ).download_and_prepare()
