"""Pointers: small JSON files that stand for checkpoints in the workflow."""

import json
from pathlib import Path

from promptscale.errors import CheckpointError
from promptscale.storage.atomic import atomic_write


def write_pointer(location: str, path: Path) -> None:
    """Writes the location of a checkpoint to the pointer file `path`."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps({"location": location}) + "\n")


def read_pointer(path: str) -> str:
    """The location of the checkpoint that a pointer file names.

    Raises:
      CheckpointError: the pointer is missing or damaged.
    """
    try:
        return str(json.loads(Path(path).read_text())["location"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} should hold the location of a checkpoint; delete it and Snakemake makes it."
        ) from error
