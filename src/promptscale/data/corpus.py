"""Plain text for pre-training and LM adaptation: shards of tokenised documents.

A shard is a `.safetensors` file: the ids of all documents end to end, and their offsets. A local
shard is mapped into memory. A shard in a bucket is read in ranges of bytes: its offsets when it is
opened, and ids when they are requested, so a host needs neither disk nor memory for a corpus.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from promptscale.data import prepared
from promptscale.data.prepared import HEADER_SIZE, Ragged
from promptscale.errors import DataError
from promptscale.storage.location import is_remote
from promptscale.storage.store import open_parent

_NAMES = ("tokens", "offsets")


def write_text(path: Path, documents: Ragged) -> None:
    """Writes documents to a shard."""
    prepared.write_arrays(path, {"tokens": documents.ids, "offsets": documents.offsets})


def read_text(location: str) -> "Shard":
    """Opens a shard, which is a local file or at `gs://`.

    Raises:
      DataError: the shard is missing or damaged; for a bucket also when ids are read.
    """
    if is_remote(location):
        return BucketShard(location)
    (documents,) = prepared.read_arrays(Path(location), _NAMES)
    return documents


class BucketShard:
    """A shard in a bucket, of which ranges of bytes are read; `offsets` are those of `Ragged`."""

    def __init__(self, location: str) -> None:
        """Reads the offsets."""
        self._store, self._key = open_parent(location, DataError)
        size = int.from_bytes(self._read(0, HEADER_SIZE)(), "little")
        self._begin = HEADER_SIZE + size
        try:
            header = json.loads(self._read(HEADER_SIZE, self._begin)())
            self._tokens, offsets = prepared.locate_arrays(header, _NAMES)
            content = self._read(self._begin + offsets.start, self._begin + offsets.end)()
            self.offsets = np.frombuffer(content, offsets.dtype)
            prepared.check_layout(self._tokens.shape, self._tokens.dtype, self.offsets)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise DataError(
                f"The prepared dataset {location} is damaged; copy or prepare it again."
            ) from error

    def read_async(self, start: int, end: int) -> Callable[[], Integer[np.ndarray, " length"]]:
        """Starts to read the ids from `start` to `end`; the returned function waits for them."""
        dtype = np.dtype(self._tokens.dtype)
        first = self._begin + self._tokens.start
        wait = self._read(first + start * dtype.itemsize, first + end * dtype.itemsize)
        return lambda: np.frombuffer(wait(), dtype)

    def _read(self, start: int, end: int) -> Callable[[], bytes]:
        return self._store.read_range(self._key, start, end)


Shard = Ragged | BucketShard  # documents in memory or in a bucket
