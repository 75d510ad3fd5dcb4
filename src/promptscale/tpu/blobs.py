"""Input files in the bucket, stored under their hashes, each once."""

from collections.abc import Mapping
from pathlib import Path

from promptscale.storage.store import Store

_BYTES_AT_ONCE = 2**28  # upper bound of the memory that storing takes, but for larger single files


class Blobs:
    """The files in `blobs/`. Arguments are files by their SHA-256 hashes."""

    def __init__(self, store: Store) -> None:
        """Lists the stored files; during a run only this object adds files, and none is deleted."""
        self._store = store
        self._stored = {key.removeprefix("blobs/") for key in store.keys("blobs/")}

    def missing(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """The files that are not stored yet."""
        return {digest: path for digest, path in files.items() if digest not in self._stored}

    def missing_bytes(self, files: Mapping[str, Path]) -> int:
        """The total size of the files that are not stored yet, in bytes."""
        return sum(path.stat().st_size for path in self.missing(files).values())

    def store_batch(self, files: Mapping[str, Path]) -> None:
        """Stores the first missing files, up to 256 MiB together but at least one file."""
        size, batch = 0, dict[str, bytes]()
        for digest, path in self.missing(files).items():
            size += path.stat().st_size
            if batch and size > _BYTES_AT_ONCE:
                break
            batch[digest] = path.read_bytes()
        self._store.write_many({f"blobs/{digest}": content for digest, content in batch.items()})
        self._stored.update(batch)
