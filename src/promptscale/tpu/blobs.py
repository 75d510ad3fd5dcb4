"""The files that jobs need, in the bucket under their hashes, each stored once."""

from collections.abc import Mapping
from pathlib import Path

from promptscale.tpu.bucket import Bucket

_AT_ONCE = 2**28  # bytes that are stored at a time, which bounds the memory that it takes


class Blobs:
    """What of `blobs/` is there; files are given by their hashes."""

    def __init__(self, bucket: Bucket) -> None:
        """Asks the bucket once; nobody else takes anything away while a run goes on."""
        self._bucket = bucket
        self._stored = {key.removeprefix("blobs/") for key in bucket.keys("blobs/")}

    def lacking(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """Those of the files that are not stored yet."""
        return {digest: path for digest, path in files.items() if digest not in self._stored}

    def lacking_bytes(self, files: Mapping[str, Path]) -> int:
        """How much that is."""
        return sum(path.stat().st_size for path in self.lacking(files).values())

    def store_some(self, files: Mapping[str, Path]) -> None:
        """Stores the first of the files that are lacking, as many as fit into memory."""
        size, some = 0, dict[str, bytes]()
        for digest, path in self.lacking(files).items():
            size += path.stat().st_size
            if some and size > _AT_ONCE:
                break
            some[digest] = path.read_bytes()
        self._bucket.write_all({f"blobs/{digest}": content for digest, content in some.items()})
        self._stored.update(some)
