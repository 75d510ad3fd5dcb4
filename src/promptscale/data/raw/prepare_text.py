"""Preparation of a text corpus: the documents of TFDS or of a file to token arrays on disk.

Files are written atomically, and the same input gives the same bytes.
"""

from pathlib import Path

from promptscale.config.schema import Data
from promptscale.data.corpus import write_text
from promptscale.data.prepared import Ragged
from promptscale.data.raw.sources import read_texts
from promptscale.data.vocabulary import Vocabulary
from promptscale.storage.events import counted


def prepare_text(
    corpus: str,
    split: str,
    data: Data,
    vocabulary: Vocabulary,
    path: Path,
    *,
    shard: int = 0,
    num_shards: int = 1,
) -> None:
    """Writes slice `shard` (from 0) of the `num_shards` slices of a corpus of TFDS as a shard.

    Raises:
      DataError: the corpus is missing or damaged.
    """
    texts = read_texts(corpus, split, data, shard, num_shards)
    write_text(path, Ragged.pack(map(vocabulary.encode, counted(texts, corpus))))
