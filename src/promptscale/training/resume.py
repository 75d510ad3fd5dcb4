"""The state that a killed job continues from, local or in a bucket.

Two files, written in turn: whatever happens while one is written, the other is whole. Numbers are
kept bit for bit; what else the loop needs is JSON beside them, and a checksum covers both. A state
belongs to one job specification: a job whose settings changed starts afresh.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from promptscale.checkpoints import storage
from promptscale.errors import CheckpointError
from promptscale.training import mesh

log = logging.getLogger(__name__)

_DIGEST = hashlib.sha256().digest_size


class State:
    """Where one job keeps its state: `location` with `.0` and `.1` behind it.

    Of several processes the first writes, and all read.
    """

    def __init__(self, location: str, job: str) -> None:
        """Reads nothing yet; `job` is the job's specification."""
        self._files = (f"{location}.0", f"{location}.1")
        self._job = job
        self._saves = 0  # the next one goes to the file of its parity

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """The newest whole tree, placed and shaped as `like`, with its progress; None if none.

        Raises:
          CheckpointError: states of this job are there, but none is whole.
        """
        found, damaged = {}, []
        for file in self._files:
            folder, _, name = file.rpartition("/")
            content = storage.read_bytes(folder, name)
            if content is None:
                continue
            try:
                metadata, tensors = _unpacked(content)
            except ValueError as error:
                damaged.append(file)
                log.warning("the saved state %s is damaged (%s)", file, error)
                continue
            if metadata["job"] == self._job:
                found[int(metadata["saves"])] = metadata, tensors
            else:
                log.warning("the saved state %s is of other settings and is not used", file)
        if not found:
            if damaged:
                raise CheckpointError(
                    f"No saved training state is whole ({', '.join(damaged)}); delete "
                    f"{'them' if len(damaged) > 1 else 'it'} to start this job afresh."
                )
            return None
        newest = max(found)
        self._saves = newest + 1
        metadata, tensors = found[newest]
        leaves, structure = jax.tree.flatten(like)
        placed = [mesh.placed(tensors[str(n)], leaf.sharding) for n, leaf in enumerate(leaves)]
        return jax.tree.unflatten(structure, placed), json.loads(metadata["progress"])

    def save(self, tree: Any, progress: Mapping[str, Any]) -> None:
        """Writes the arrays of `tree` and the JSON-able `progress`.

        Raises:
          CheckpointError: it cannot be written; the state before this one is still whole.
        """
        leaves = [mesh.gathered(leaf) for leaf in jax.tree.leaves(tree)]
        if mesh.is_first_process():
            metadata = {
                "progress": json.dumps(progress),
                "job": self._job,
                "saves": str(self._saves),
            }
            tensors = {str(index): np.asarray(leaf) for index, leaf in enumerate(leaves)}
            storage.write_bytes(self._files[self._saves % 2], _packed(metadata, tensors))
        self._saves += 1

    def delete(self) -> None:
        """Removes what the finished job needs no more."""
        if mesh.is_first_process():
            for file in self._files:
                storage.delete(file)


def _packed(metadata: Mapping[str, str], tensors: Mapping[str, np.ndarray]) -> bytes:
    content = save(dict(tensors), dict(metadata))
    return hashlib.sha256(content).digest() + content


def _unpacked(content: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Raises ValueError where a byte is not as it was written."""
    digest, content = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its checksum does not fit")
    try:
        header = int.from_bytes(content[:8], "little")
        return json.loads(content[8 : 8 + header])["__metadata__"], load(content)
    except (SafetensorError, KeyError) as error:
        raise ValueError(str(error)) from error
