"""Fingerprints of local files and folders: they change when a file is replaced in place."""

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from promptscale.errors import StorageError
from promptscale.storage.location import is_remote, resolve

_COMPARED = 2**25  # bytes at each end of a file
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
    digest = hashlib.sha256()
    for path in sorted(_files(top)):
        digest.update(f"{path.relative_to(top).as_posix()}\0{_state(path)}\0".encode())
    return digest.hexdigest()


def contents_digest(locations: Iterable[str]) -> str:
    """A digest of the contents of files, whatever their folders, as other machines compute it, too.

    Of a large file the size, the beginning and the end count. A location in a bucket counts by its
    name: the files that jobs read there are named by their content.
    """
    digest = hashlib.sha256()
    for location in locations:
        digest.update(f"{location.rpartition('/')[2]}\0".encode())
        if is_remote(location):
            continue
        with Path(location).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            for start in (0, max(0, size - _COMPARED)):
                file.seek(start)
                digest.update(f"{size}\0".encode() + file.read(_COMPARED))
    return digest.hexdigest()


def tree_digest(location: str) -> str:
    """A digest of the contents of a file, or of all files below a folder (`contents_digest`)."""
    if is_remote(location):
        return contents_digest([location])
    return contents_digest(map(str, sorted(_files(Path(resolve(location))))))


def _files(top: Path) -> Iterator[Path]:
    """A file, or all files below a folder and the folders that it links to."""
    if not top.is_dir():
        yield top
        return
    seen: set[str] = set()
    for folder, folders, files in os.walk(top, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(folder, name) for name in files)


def _state(path: Path) -> str:
    """The size of a file, and its hash or time of change; "absent" if it cannot be read."""
    try:
        status = path.stat()
        if status.st_size > _HASHED:
            return f"{status.st_size} {status.st_mtime_ns}"
        return f"{status.st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError:
        return "absent"
