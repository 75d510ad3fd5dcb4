"""Preparation of a dataset by TFDS's builder, with downloads and splits that we choose."""

import re
from collections.abc import Mapping
from typing import Any

import tensorflow_datasets as tfds


def download_and_prepare(builder: Any, downloads: Any, split: str | None = None) -> None:
    """Lets `builder` prepare its dataset; TFDS's cloud copies are not asked for.

    TFDS 4.9.10 has no public way to replace a builder's download manager or to prepare a single
    split. Two private methods are therefore replaced, on this instance only; nothing else in the
    project touches TFDS's private interface. `downloads` answers the builder's downloads, as
    `tfds.download.DownloadManager` does. `split` is the only TFDS split to prepare; None for all.
    """
    builder._make_download_manager = lambda **_: downloads
    if split is not None:
        generators = builder._split_generators
        builder._split_generators = lambda manager: _select(split, generators(manager))
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(download_config=config)


def _select(split: str, generators: Any) -> Any:
    """A split of a builder's generators: a dict, or in older builders a list."""
    if isinstance(generators, Mapping):
        return {name: generator for name, generator in generators.items() if name == split}
    return [generator for generator in generators if generator.name == split]


def gist(error: Exception) -> str:
    """What an error of TFDS or TensorFlow says, in a line of at most 300 characters."""
    text = re.sub(r"\{\{function_node.*?\}\}|\[Op:\w+\]( name:)?", "", str(error))
    words = " ".join(text.split()).rstrip(".")
    return (words or type(error).__name__)[:300]
