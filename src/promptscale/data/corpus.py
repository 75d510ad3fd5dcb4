"""Plain text for pre-training and LM adaptation: shards of tokenised documents.

A shard is a `.safetensors` file: the ids of all documents end to end, and their offsets. A local
shard is mapped into memory. A shard in a bucket is read in ranges of bytes: its offsets when it is
opened, and ids when they are requested, so a host needs neither disk nor memory for a corpus.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import tensorstore as ts
from jaxtyping import Int, Integer

from promptscale.data import prepared
from promptscale.data.prepared import HEADER_SIZE, Ragged
from promptscale.errors import DataError
from promptscale.storage import store as storage

_NAMES = ("tokens", "offsets")

PendingIds = Callable[[], Integer[np.ndarray, " length"]]  # waits for a read and returns its ids


@runtime_checkable
class Shard(Protocol):
    """Tokenised documents end to end, in memory (`Ragged`) or in a bucket."""

    @property
    def offsets(self) -> Int[np.ndarray, " offsets"]:
        """The start of each document, and the end of the last document."""

    def read_async(self, start: int, end: int) -> PendingIds:
        """Starts to read the ids from `start` to `end`; the result, when called, waits for them."""


def write_text(path: Path, documents: Ragged) -> None:
    """Writes documents to a shard."""
    prepared.write_arrays(path, dict(zip(_NAMES, (documents.ids, documents.offsets), strict=True)))


def read_text(location: str) -> Shard:
    """Opens a shard written by `write_text`, in a local file or at `gs://…`.

    Raises:
      DataError: the shard is missing or damaged; for a bucket also later, when ids are read.
    """
    if location.startswith("gs://"):
        return _InBucket(location)
    return Ragged(*prepared.read_arrays(Path(location), _NAMES))


class _InBucket:
    """A shard that is read in ranges of bytes."""

    def __init__(self, location: str) -> None:
        """Reads the offsets."""
        self._location = location
        folder, _, self._file = location.rpartition("/")
        with self._errors():
            self._store = ts.KvStore.open(storage.kvstore(folder), context=storage.CONTEXT).result()
        size = int.from_bytes(self._bytes(0, HEADER_SIZE)(), "little")
        self._begin = HEADER_SIZE + size
        try:
            header = json.loads(self._bytes(HEADER_SIZE, self._begin)())
            self._tokens, offsets = prepared.locate_arrays(header, _NAMES)
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged() from error
        content = self._bytes(self._begin + offsets.start, self._begin + offsets.end)()
        self.offsets = np.frombuffer(content, offsets.dtype)

    def read_async(self, start: int, end: int) -> PendingIds:
        """Starts to read the ids from `start` to `end`; the result, when called, waits for them."""
        dtype = np.dtype(self._tokens.dtype)
        first = self._begin + self._tokens.start
        wait = self._bytes(first + start * dtype.itemsize, first + end * dtype.itemsize)
        return lambda: np.frombuffer(wait(), dtype)

    def _bytes(self, start: int, end: int) -> Callable[[], bytes]:
        """Starts to read a range of bytes; the result, when called, waits for them."""
        if start == end:
            return lambda: b""
        future = self._store.read(self._file, byte_range=slice(start, end))

        def wait() -> bytes:
            with self._errors():
                read = future.result()
            if read.state != "value":
                raise DataError(f"There is no prepared dataset at {self._location}.")
            if len(read.value) != end - start:
                raise self._damaged()
            return read.value

        return wait

    def _errors(self):
        return storage.clear_errors(f"{self._location} cannot be read", DataError)

    def _damaged(self) -> DataError:
        return DataError(f"The prepared dataset {self._location} is damaged.")
