"""Atomic writes: a file or folder gets its final name when it is complete, never before."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a temporary file beside `path` to write to; it is renamed to `path` on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def partial_directory(path: Path) -> Path:
    """The temporary folder that `atomic_directory(path)` gives."""
    return path.with_name(f"{path.name}.partial")


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Gives an empty temporary folder beside `path`; on success it replaces the folder `path`."""
    partial = partial_directory(path)
    outdated = path.with_name(f"{path.name}.outdated")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(outdated, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():  # a folder cannot be renamed over another folder that has files
            path.rename(outdated)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(outdated, ignore_errors=True)
