"""Atomic writes: a file or folder gets its final name when it is complete, never before."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from promptscale.errors import PromptscaleError, StorageError
from promptscale.storage.reasons import reason


@contextlib.contextmanager
def atomic_write(path: Path, error: type[PromptscaleError] = StorageError) -> Iterator[Path]:
    """Gives a temporary file beside `path` to write to; it is renamed to `path` on success.

    Raises:
      `error`: the system refuses to write the file (rights, a full disk, a folder of that name).
    """
    partial = path.with_name(f"{path.name}.partial")
    with _refusals(f"The file {path} cannot be written", error):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise error(f"The file {path} cannot be written: a device or pipe has this name.")
        try:
            yield partial
            partial.replace(path)
        finally:
            with contextlib.suppress(OSError):  # the error that matters is the first
                partial.unlink()


def partial_directory(path: Path) -> Path:
    """The temporary folder that `atomic_directory(path)` gives."""
    return path.with_name(f"{path.name}.partial")


@contextlib.contextmanager
def atomic_directory(path: Path, error: type[PromptscaleError] = StorageError) -> Iterator[Path]:
    """Gives an empty temporary folder beside `path`; on success it replaces the folder `path`.

    Raises:
      `error`: the system refuses to write the folder (rights, a full disk, a file of that name).
    """
    with _refusals(f"The folder {path} cannot be written", error):
        path = path.resolve() if path.is_symlink() else path
        partial = partial_directory(path)
        outdated = path.with_name(f"{path.name}.outdated")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(outdated, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            if path.is_dir():  # a folder cannot be renamed over another folder that has files
                path.rename(outdated)
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(outdated, ignore_errors=True)


@contextlib.contextmanager
def _refusals(what: str, error: type[PromptscaleError]) -> Iterator[None]:
    """Raises `error` for an OSError; other exceptions of the caller's block are not of the file."""
    try:
        yield
    except OSError as cause:
        raise error(f"{what}: {reason(cause, what)}.") from cause
