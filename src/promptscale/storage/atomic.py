"""Writing files so that nothing half-written ever stands under a final name."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a temporary sibling of `path` to write to; it becomes `path` if nothing is raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def partial_directory(path: Path) -> Path:
    """Where `atomic_directory` has the files written that are to be in `path`."""
    return path.with_name(f"{path.name}.partial")


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """The same for a folder: the sibling is empty at first and replaces an older `path` whole."""
    partial = partial_directory(path)
    outdated = path.with_name(f"{path.name}.outdated")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(outdated, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():  # no single call renames a folder over another one
            path.rename(outdated)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(outdated, ignore_errors=True)
