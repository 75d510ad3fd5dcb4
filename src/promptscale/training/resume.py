"""The state that a killed job continues from, local or in a bucket.

Two records, written in turn: whatever happens while one is written, the other is whole. A record
holds arrays, bit for bit, and what else the loop needs as JSON, under one checksum. Large arrays
lie beside it, each part written and read by the process that has it, in a new folder for each save,
with checksums of their own. A state belongs to one job specification: a job whose settings changed
starts afresh. It does not belong to a layout: other devices may continue it.
"""

import concurrent.futures
import functools
import hashlib
import json
import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import tensorstore as ts
from safetensors import SafetensorError
from safetensors.numpy import load, save

from promptscale.checkpoints import arrays
from promptscale.distributed import mesh, multihost
from promptscale.errors import CheckpointError
from promptscale.storage import store as storage

log = logging.getLogger(__name__)

LARGE = 2**20  # bytes; larger arrays lie beside the record
_DIGEST = hashlib.sha256().digest_size


class State:
    """Where one job keeps its state: `location` with `.0`, `.1` and `.arrays` behind it.

    All methods are for all processes of the job to call.
    """

    def __init__(self, location: str, job: str) -> None:
        """Reads nothing yet; `job` is the job's specification."""
        self._files = (f"{location}.0", f"{location}.1")
        self._arrays = f"{location}.arrays"
        self._job = job
        self._saves = 0  # the next one goes to the file of its parity
        self._newest = ""  # the folder of the newest state's large arrays

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """The newest whole tree, placed and shaped as `like`, with its progress; None if none.

        Raises:
          CheckpointError: states of this job are there, but none is whole.
        """
        leaves, structure = jax.tree.flatten(like)
        found, damaged = self._records()
        for saves in sorted(found, reverse=True):
            file, metadata, tensors = found[saves]
            placed: list[jax.Array] = []
            try:
                placed = self._placed(metadata["arrays"], tensors, leaves)
            except CheckpointError as error:
                log.warning("the saved state %s is damaged (%s)", file, error)
            if multihost.all_agree(len(placed) == len(leaves)):
                self._saves, self._newest = saves + 1, metadata["arrays"]
                return jax.tree.unflatten(structure, placed), json.loads(metadata["progress"])
            damaged.append(file)
        if damaged:
            raise CheckpointError(
                f"No saved training state is whole ({', '.join(damaged)}); delete "
                f"{'them' if len(damaged) > 1 else 'it'} to start this job afresh."
            )
        return None

    def save(self, tree: Any, progress: Mapping[str, Any]) -> None:
        """Writes the arrays of `tree` and the JSON-able `progress`.

        Raises:
          CheckpointError: it cannot be written; the state before this one is still whole.
        """
        leaves = {str(index): leaf for index, leaf in enumerate(jax.tree.leaves(tree))}
        apart = {name: leaf for name, leaf in leaves.items() if leaf.nbytes > LARGE}
        folder = self._write_apart(apart) if apart else ""
        small = {n: mesh.to_host(leaf) for n, leaf in leaves.items() if n not in apart}
        if multihost.is_primary():
            metadata = {
                "progress": json.dumps(progress),
                "job": self._job,
                "saves": str(self._saves),
                "arrays": folder,
            }
            storage.write_bytes(self._files[self._saves % 2], _packed(metadata, small))
            if apart:
                for outdated in storage.folders(self._arrays) - {folder, self._newest}:
                    storage.delete_folder(f"{self._arrays}/{outdated}")
        self._saves, self._newest = self._saves + 1, folder

    def delete(self) -> None:
        """Removes what the finished job needs no more.

        On a slice (which sets PROMPTSCALE_KEEP_STATE) it does need it until its results have left
        the machine; whoever takes them deletes the state.
        """
        if multihost.is_primary() and "PROMPTSCALE_KEEP_STATE" not in os.environ:
            for file in self._files:
                storage.delete(file)
            storage.delete_folder(self._arrays)

    def _records(self) -> tuple[dict[int, tuple[str, dict[str, str], dict[str, Any]]], list[str]]:
        """This job's whole records by their number of saves, and the files of damaged ones."""
        found, damaged = {}, []
        for file in self._files:
            folder, _, name = file.rpartition("/")
            content = multihost.broadcast_from_primary(
                functools.partial(storage.read_bytes, folder, name)
            )
            if content is None:
                continue
            try:
                metadata, tensors = _unpacked(content)
            except ValueError as error:
                damaged.append(file)
                log.warning("the saved state %s is damaged (%s)", file, error)
                continue
            if metadata["job"] == self._job:
                found[int(metadata["saves"])] = file, metadata, tensors
            else:
                log.warning("the saved state %s is of other settings and is not used", file)
        return found, damaged

    def _write_apart(self, apart: Mapping[str, jax.Array]) -> str:
        """Writes large arrays to a new folder; its name, once all processes have written."""
        unique = multihost.broadcast_from_primary(lambda: uuid.uuid4().hex.encode())
        assert unique is not None
        folder = unique.decode()
        with storage.clear_errors(f"The folder {self._arrays}/{folder} cannot be written"):
            arrays.write([
                (self._spec(folder, name, chunks=arrays.chunks(array), array=array), array)
                for name, array in apart.items()
            ])  # fmt: skip
        multihost.barrier("the state's arrays are written")
        return folder

    def _placed(
        self, folder: str, tensors: Mapping[str, np.ndarray], leaves: Sequence[jax.Array]
    ) -> list[jax.Array]:
        """A state's arrays where those of `leaves` are, each read in the parts that are held here.

        Raises:
          CheckpointError: an array cannot be read.
        """

        def place(name: str, leaf: jax.Array) -> jax.Array:
            if name in tensors:
                return mesh.put(tensors[name], leaf.sharding)
            with storage.clear_errors(f"its array {name} cannot be read"):
                spec = self._spec(folder, name, array=leaf)
                store = ts.open(spec, open=True, context=storage.CONTEXT).result()
                return mesh.put_parts(
                    leaf.shape, leaf.sharding, lambda index: store[index].read().result()
                )

        with concurrent.futures.ThreadPoolExecutor(arrays.AT_ONCE) as pool:
            return list(pool.map(place, map(str, range(len(leaves))), leaves))

    def _spec(
        self, folder: str, name: str, *, array: jax.Array, chunks: list[int] | None = None
    ) -> arrays.Spec:
        """An array's TensorStore spec: each chunk has a checksum, and none may be missing."""
        grid = {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}}}
        return {
            "driver": "zarr3",
            "kvstore": storage.kvstore(f"{self._arrays}/{folder}", f"{name}/"),
            "metadata": {
                "shape": list(array.shape),
                "data_type": array.dtype.name,
                "codecs": [
                    {"name": "bytes", "configuration": {"endian": "little"}},
                    {"name": "crc32c"},
                ],
                **(grid if chunks else {}),
            },
            "fill_missing_data_reads": False,
            "store_data_equal_to_fill_value": True,
        }


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
