"""Writes the miniature world as prepared TFDS datasets, and its vocabulary."""

import shutil
from pathlib import Path

import tensorflow_datasets as tfds

from promptscale.data.raw.miniature import vocabulary as sentencepiece_vocabulary
from promptscale.data.raw.miniature.tasks import DATASETS, Dataset, Sizes, corpus_text, split_rows
from promptscale.errors import DataError

_VOCABULARY_DOCUMENTS = 2_500


def generate(data_dir: Path, vocabulary: Path, seed: int, sizes: Sizes | None = None) -> None:
    """Generates everything: `data_dir` for `tfds.load(..., data_dir=data_dir)`, and the vocabulary.

    The same seed and sizes give the same files. `data_dir` appears whole or not at all.

    Raises:
      DataError: `data_dir` exists already.
    """
    sizes = sizes or Sizes()
    if data_dir.exists():
        raise DataError(f"{data_dir} exists already; remove it to generate the miniature anew.")
    sentences = list(corpus_text(sizes, seed, _VOCABULARY_DOCUMENTS))
    sentencepiece_vocabulary.train(sentences, vocabulary)
    partial = data_dir.with_name(f"{data_dir.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for dataset in DATASETS:
        _store(dataset, partial, sizes, seed)
    partial.rename(data_dir)


class _Generated(tfds.dataset_builders.AdhocBuilder, skip_registration=True):  # type: ignore[call-arg]
    """TFDS's builder for rows in memory; it downloads nothing, so it has no checksums."""

    url_infos = None


def _store(dataset: Dataset, data_dir: Path, sizes: Sizes, seed: int) -> None:
    """Writes one dataset with the real builder's features, under its real name and version."""
    config = {"config": dataset.config} if dataset.config else {}
    real = tfds.builder_cls(dataset.name)(data_dir=data_dir, version=dataset.version, **config)
    _Generated(
        name=dataset.name,
        version=dataset.version,
        features=real.info.features,
        split_datasets={
            split: enumerate(split_rows(dataset, split, sizes, seed)) for split in dataset.splits
        },
        data_dir=data_dir,
        description="promptscale's miniature world (generated)",
        **config,
    ).download_and_prepare()
