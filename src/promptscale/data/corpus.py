"""Plain text for pre-training and LM adaptation: shards of tokenised documents.

A shard is one `.safetensors` file: the ids of all documents end to end, and their offsets. A local
one is mapped into memory. Of one in a bucket the offsets are read once, and of the ids only the
spans that are asked for, so that a host needs neither disk nor memory for a corpus.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import tensorstore as ts
from jaxtyping import Int, Integer

from promptscale.data.prepared import HEADER_SIZE, Ragged, load_arrays, places, save_arrays
from promptscale.errors import DataError
from promptscale.storage import store as storage

_NAMES = ("tokens", "offsets")

Span = Callable[[], Integer[np.ndarray, " length"]]


@runtime_checkable
class Shard(Protocol):
    """Documents as `Ragged` has them, wherever their ids are."""

    @property
    def offsets(self) -> Int[np.ndarray, " offsets"]:
        """Where each document begins and the last one ends."""

    def ask(self, start: int, end: int) -> Span:
        """Begins to read the ids from `start` to `end`; calling the result waits for them."""


def write_text(path: Path, documents: Ragged) -> None:
    """Writes documents to one file."""
    save_arrays(path, dict(zip(_NAMES, (documents.ids, documents.offsets), strict=True)))


def read_text(location: str) -> Shard:
    """Opens documents written by `write_text`, in a local file or at `gs://…`.

    Raises:
      DataError: missing or damaged; for a bucket also when ids are read.
    """
    if location.startswith("gs://"):
        return _InBucket(location)
    return Ragged(*load_arrays(Path(location), _NAMES))


class _InBucket:
    """A shard of which ranges of bytes are read."""

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
            self._tokens, offsets = places(header, _NAMES)
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged() from error
        content = self._bytes(self._begin + offsets.start, self._begin + offsets.end)()
        self.offsets = np.frombuffer(content, offsets.dtype)

    def ask(self, start: int, end: int) -> Span:
        """As `Shard` says."""
        dtype = np.dtype(self._tokens.dtype)
        first = self._begin + self._tokens.start
        wait = self._bytes(first + start * dtype.itemsize, first + end * dtype.itemsize)
        return lambda: np.frombuffer(wait(), dtype)

    def _bytes(self, start: int, end: int) -> Callable[[], bytes]:
        """Begins to read a range of bytes."""
        if start == end:
            return lambda: b""
        future = self._store.read(self._file, byte_range=slice(start, end))

        def wait() -> bytes:
            with self._errors():
                found = future.result()
            if found.state != "value":
                raise DataError(f"There is no prepared dataset at {self._location}.")
            if len(found.value) != end - start:
                raise self._damaged()
            return found.value

        return wait

    def _errors(self):
        return storage.clear_errors(f"{self._location} cannot be read", DataError)

    def _damaged(self) -> DataError:
        return DataError(f"The prepared dataset {self._location} is damaged.")
