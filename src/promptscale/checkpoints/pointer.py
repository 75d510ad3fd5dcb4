"""Pointers: small JSON files that stand for checkpoints in the workflow."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from promptscale.errors import CheckpointError
from promptscale.storage.atomic import atomic_write
from promptscale.storage.location import is_remote, resolve
from promptscale.storage.reasons import named_errors


def write_pointer(location: str, digest: str, path: Path) -> None:
    """Writes the location of a checkpoint to the pointer file `path`.

    `digest` tells checkpoints at one location apart: Snakemake runs what reads a pointer again only
    if the content of the pointer has changed.
    """
    with atomic_write(path, CheckpointError) as partial:
        content = {"location": location, "digest": digest}
        partial.write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_pointer(path: str) -> str:
    """The location of the checkpoint that a pointer file names.

    Raises:
      CheckpointError: the pointer is missing or damaged, or names a local checkpoint that is gone.
    """
    with named_errors(f"The pointer {path} cannot be read", CheckpointError):
        content = Path(path).read_bytes()
    try:
        location = TypeAdapter(dict[str, str]).validate_json(content)["location"]
        resolved = resolve(location, CheckpointError)
    except (ValueError, KeyError, CheckpointError) as error:
        raise CheckpointError(
            f"{path} should hold the location of a checkpoint; delete it and Snakemake makes it."
        ) from error
    with named_errors(f"The checkpoint {location} cannot be read", CheckpointError):
        is_gone = not is_remote(resolved) and not Path(resolved).exists()
    if is_gone:
        raise CheckpointError(
            f"The checkpoint {location}, which {path} names, is gone; put it back, or delete the "
            "pointer and Snakemake makes it again."
        )
    return location
