"""A folder of objects in a bucket, or on the local disk, read and written many at a time."""

import contextlib
from collections.abc import Iterable, Mapping

import tensorstore as ts

from promptscale.errors import TpuError
from promptscale.storage.store import CONTEXT, clear_errors, kvstore


class Bucket:
    """Objects below `location`, which is `gs://bucket/prefix` or a local folder.

    Every method raises TpuError where the bucket does not answer.
    """

    def __init__(self, location: str) -> None:
        """Reaches for nothing yet."""
        self.location = location.rstrip("/")
        with self._errors():
            self._store = ts.KvStore.open(kvstore(self.location), context=CONTEXT).result()

    def read(self, key: str) -> bytes | None:
        """The content of an object; None where there is none."""
        return self.read_all([key])[key]

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        """The contents of many objects, asked for at once."""
        with self._errors():
            asked = {key: self._store.read(key) for key in keys}
            found = {key: future.result() for key, future in asked.items()}
        return {key: one.value if one.state == "value" else None for key, one in found.items()}

    def write(self, key: str, content: bytes) -> None:
        """Writes an object whole."""
        self.write_all({key: content})

    def write_all(self, contents: Mapping[str, bytes]) -> None:
        """Writes many objects at once."""
        with self._errors():
            for future in [self._store.write(key, value) for key, value in contents.items()]:
                future.result()

    def write_first(self, key: str, content: bytes) -> None:
        """Writes an object unless there already is one."""
        with self._errors():
            self._store.write(key, content, if_equal=b"").result()

    def keys(self, prefix: str) -> set[str]:
        """The names of all objects that start with `prefix`."""
        with self._errors():
            return {key.decode() for key in self._store.list(_below(prefix)).result()}

    def delete(self, prefix: str) -> None:
        """Removes all objects whose names start with `prefix`."""
        with self._errors():
            self._store.delete_range(_below(prefix)).result()

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return clear_errors(f"The bucket {self.location} does not answer", TpuError)


def _below(prefix: str) -> ts.KvStore.KeyRange:
    if not prefix:
        return ts.KvStore.KeyRange()
    return ts.KvStore.KeyRange(prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))
