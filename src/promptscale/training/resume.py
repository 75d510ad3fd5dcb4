"""The saved state that an interrupted job resumes from, in a local folder or a bucket.

A state has two records, written in turn, so that one of them is complete at any moment. A record
holds arrays, bit for bit, and the loop's progress as JSON, under a checksum. Large arrays lie in a
new folder for each save, with a checksum for each chunk; each process writes and reads the parts
that its devices hold. A state belongs to a job specification: a job whose settings changed starts
from the beginning. It does not depend on a layout: other devices may resume it.
"""

import concurrent.futures
import functools
import hashlib
import json
import logging
import os
import uuid
import weakref
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
from promptscale.storage.reasons import named_errors
from promptscale.storage.store import CONTEXT, Store, open_parent
from promptscale.training.ownership import Ownership

log = logging.getLogger(__name__)

LARGE = 2**20  # bytes; larger arrays are written beside the record
_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
_DIGEST = hashlib.sha256().digest_size


class State:
    """A job's saved state: `<location>.0`, `<location>.1` and the folder `<location>.arrays`.

    The primary process owns it (`<location>.owner`) until the object or the process ends. All
    processes of the job must call every method.
    """

    def __init__(self, location: str, job: str) -> None:
        """Takes the state, perhaps from a process that was killed; `job` is the specification.

        Raises:
          CheckpointError: a running process owns the state, or the place cannot be written.
        """
        self._store, name = open_parent(location, CheckpointError)
        self._files = (f"{name}.0", f"{name}.1")
        self._arrays = Store(f"{location}.arrays", CheckpointError)
        self._job = job
        self._saves = 0  # the number of saves; its parity selects the next file
        self._newest = ""  # the folder of the newest state's large arrays
        self._foreign: set[str] = set()  # the files of other settings, whose arrays a save deletes
        self._ownership = Ownership(self._store, f"{name}.owner", location)
        multihost.broadcast_from_primary(self._ownership.acquire)
        weakref.finalize(self, self._ownership.release)

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Restores the newest complete state: its tree and its progress; None if there is none.

        The arrays of `like` have the shapes, dtypes and shardings of the state's arrays.

        Raises:
          CheckpointError: this job has saved states, and all of them are damaged.
        """
        leaves, structure = jax.tree.flatten(like)
        records, damaged = self._records()
        for saves in sorted(records, reverse=True):
            file, metadata, tensors = records[saves]
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
                f"All saved states of this job in {self._store.location} are damaged "
                f"({', '.join(damaged)}); delete them to start the job from its beginning."
            )
        return None

    def save(self, tree: Any, progress: Mapping[str, Any]) -> None:
        """Writes the arrays of `tree`, and `progress` as JSON.

        Raises:
          CheckpointError: the state cannot be written, or another process has taken it; the
            previous state stays complete.
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
            content = save(small, metadata)
            digest = hashlib.sha256(content).digest()
            self._ownership.confirm()
            self._store.write(self._files[self._saves % 2], digest + content)
            for file in self._foreign - {self._files[self._saves % 2]}:
                self._store.delete(file)
            self._foreign.clear()
            if apart:
                folders = {key.partition("/")[0] for key in self._arrays.keys()}  # noqa: SIM118
                for outdated in folders - {folder, self._newest}:
                    self._arrays.delete_prefix(outdated)
        self._saves, self._newest = self._saves + 1, folder

    def delete(self) -> None:
        """Deletes the state of a completed job.

        A TPU slice sets PROMPTSCALE_KEEP_STATE, as the slice may be lost before the job's results
        have left it; there the controller deletes the state after it has received the results.
        """
        self._ownership.release()
        if multihost.is_primary() and "PROMPTSCALE_KEEP_STATE" not in os.environ:
            for file in self._files:
                self._store.delete(file)
            self._store.delete_prefix(self._arrays.location.rpartition("/")[2])

    def _records(self) -> tuple[dict[int, tuple[str, dict[str, str], dict[str, Any]]], list[str]]:
        """This job's records (file, metadata, arrays) by number of saves, and the damaged files."""
        records, damaged = {}, []
        for file in self._files:
            content = multihost.broadcast_from_primary(functools.partial(self._store.read, file))
            if content is None:
                continue
            try:
                metadata, tensors = _unpacked(content)
            except ValueError as error:
                damaged.append(file)
                log.warning("the saved state %s is damaged (%s)", file, error)
                continue
            if metadata["job"] == self._job:
                records[int(metadata["saves"])] = file, metadata, tensors
            else:
                self._foreign.add(file)
                log.warning("the saved state %s is of other settings and is not used", file)
        return records, damaged

    def _write_apart(self, apart: Mapping[str, jax.Array]) -> str:
        """Writes large arrays to a new folder and returns its name after all have been written."""
        unique = multihost.broadcast_from_primary(lambda: uuid.uuid4().hex.encode())
        assert unique is not None
        folder = unique.decode()
        specs = [self._spec(folder, n, a, chunks=arrays.chunks(a)) for n, a in apart.items()]
        what = f"The folder {self._arrays.location}/{folder} cannot be written"
        with named_errors(what, CheckpointError):
            arrays.write(list(zip(specs, apart.values(), strict=True)))
        multihost.barrier("the state's arrays are written")
        return folder

    def _placed(
        self, folder: str, tensors: Mapping[str, np.ndarray], leaves: Sequence[jax.Array]
    ) -> list[jax.Array]:
        """Reads a state's arrays into the shardings of `leaves`; CheckpointError if it cannot."""

        def place(name: str, leaf: jax.Array) -> jax.Array:
            if name in tensors:
                return mesh.put_parts(leaf.shape, leaf.sharding, tensors[name].__getitem__)
            with named_errors(f"its array {name} cannot be read", CheckpointError):
                spec = self._spec(folder, name, leaf)
                store = ts.open(spec, open=True, context=CONTEXT).result()
                return mesh.put_parts(
                    leaf.shape, leaf.sharding, lambda index: store[index].read().result()
                )

        with concurrent.futures.ThreadPoolExecutor(arrays.AT_ONCE) as pool:
            return list(pool.map(place, map(str, range(len(leaves))), leaves))

    def _spec(
        self, folder: str, name: str, array: jax.Array, chunks: list[int] | None = None
    ) -> arrays.Spec:
        """An array's TensorStore spec: chunks have checksums, and a missing chunk is an error."""
        shape, dtype = list(array.shape), array.dtype.name
        metadata: dict[str, Any] = {"shape": shape, "data_type": dtype, "codecs": _CODECS}
        grid = {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}}}
        return {
            "driver": "zarr3",
            "kvstore": self._arrays.spec(f"{folder}/{name}/"),
            "metadata": metadata | grid if chunks else metadata,
            "fill_missing_data_reads": False,
            "store_data_equal_to_fill_value": True,
        }


def _unpacked(content: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The metadata and arrays of a record; ValueError if its checksum does not match."""
    digest, content = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its checksum does not match")
    try:
        header = int.from_bytes(content[:8], "little")
        return json.loads(content[8 : 8 + header])["__metadata__"], load(content)
    except (SafetensorError, KeyError) as error:
        raise ValueError(str(error)) from error
