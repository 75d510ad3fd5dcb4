"""Fingerprints of local files and folders: they change when a file is replaced in place."""

import functools
import hashlib
from pathlib import Path

from promptscale.errors import StorageError
from promptscale.storage.location import is_remote, resolve

_HASHED = 2**20  # bytes; a larger file is known by its size and its time of change


@functools.cache
def fingerprint(location: str) -> str:
    """The fingerprint of a file, or of all files below a folder, by content where they are small.

    The path itself is no part of it, so that another spelling of a path changes nothing. It is
    empty for a location in a bucket, which is not looked at. A missing or unreadable location has
    a fingerprint too: what reads it says what is wrong. The answers are cached in the process.
    """
    if is_remote(location):
        return ""
    try:
        top = Path(resolve(location))
    except StorageError:
        return "no location"
    paths = sorted(top.rglob("*")) if top.is_dir() else [top]
    digest = hashlib.sha256()
    for path in paths:
        if not path.is_dir():
            digest.update(f"{path.relative_to(top).as_posix()}\0{_state(path)}\0".encode())
    return digest.hexdigest()


def _state(path: Path) -> str:
    """The size of a file, and its hash or time of change; "absent" if it cannot be read."""
    try:
        status = path.stat()
        if status.st_size > _HASHED:
            return f"{status.st_size} {status.st_mtime_ns}"
        return f"{status.st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError:
        return "absent"
