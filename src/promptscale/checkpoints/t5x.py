"""T5X checkpoints: a msgpack tree of small arrays beside zarr arrays, local or on Google Cloud.

The format (version 3 of google-research/t5x, `t5x/checkpoints.py`): a folder with a flax-msgpack
file `checkpoint` holding `{version, optimizer: {target, state: {step, param_states}}}`, in which
a large array is only a TensorStore spec, whose relative path names a zarr array in the same
folder. The older one-file form is the same tree with every array in it. Nothing is ever unpickled.
"""

import concurrent.futures
import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorstore as ts
from flax import serialization
from flax.traverse_util import flatten_dict, unflatten_dict

from promptscale.checkpoints import arrays
from promptscale.checkpoints.arrays import Index, LazyArray
from promptscale.distributed import multihost
from promptscale.errors import CheckpointError
from promptscale.storage import store as storage
from promptscale.storage.atomic import atomic_directory, partial_directory

VERSION = 3
SLOTS = ("m", "v", "v_row", "v_col")  # Adafactor's accumulators; unused ones have shape (1,)

_TARGET = "optimizer/target/"
_STATES = "optimizer/state/param_states/"
_STEP = "optimizer/state/step"
_STORED_IN_ZARR = ("kernel", "embedding")  # what T5X partitions; everything else is small


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model's state under T5X's names.

    Attributes:
      step: optimiser steps taken; 0 where the file does not say.
      params: arrays by flat name, such as `encoder/layers_0/attention/query/kernel`.
      optimizer: Adafactor's accumulators (`SLOTS`) by the name of their parameter; may be empty.
    """

    step: int
    params: dict[str, Any]
    optimizer: dict[str, dict[str, Any]]

    def map(self, function: Callable[[str, Any], Any]) -> "Checkpoint":
        """The checkpoint with `function` of name and array in place of each array, run in threads.

        Accumulators are named `<parameter>/<slot>`.
        """
        named = dict(self.params)
        for name, slots in self.optimizer.items():
            named |= {f"{name}/{slot}": array for slot, array in slots.items()}
        with concurrent.futures.ThreadPoolExecutor(arrays.AT_ONCE) as pool:
            made = dict(zip(named, pool.map(function, named, named.values()), strict=True))
        return Checkpoint(
            self.step,
            {name: made[name] for name in self.params},
            {
                name: {slot: made[f"{name}/{slot}"] for slot in slots}
                for name, slots in self.optimizer.items()
            },
        )


def read(location: str, *, with_optimizer: bool = True) -> Checkpoint:
    """Reads a checkpoint whole; locations and errors as for `open_checkpoint`."""
    stored = open_checkpoint(location, with_optimizer=with_optimizer)
    return stored.map(lambda _, array: array.whole())


def open_checkpoint(location: str, *, with_optimizer: bool = True) -> Checkpoint:
    """Finds a checkpoint's arrays: its folder, its file `checkpoint`, or one msgpack.

    A one-file msgpack may also be a bare tree of parameters (under `params` or not).

    Args:
      location: a local path or `gs://bucket/path`. Google Cloud Storage is read with the
        machine's default credentials where it has some and anonymously otherwise;
        TENSORSTORE_GCS_HTTP_URL directs the requests elsewhere.
      with_optimizer: whether to open the accumulators too.
    Raises:
      CheckpointError: missing, damaged, incomplete, or not a T5X checkpoint; also when an array is
        read.
    """
    found = leaves(location)
    if not with_optimizer:
        found = {name: leaf for name, leaf in found.items() if not name.startswith(_STATES)}
    return _sort_out(location, _opened(location, found))


def leaves(location: str) -> dict[str, Any]:
    """The checkpoint's leaves by flat name, arrays in zarr not yet read.

    Returns:
      For each leaf its value, or, for an array in zarr, the TensorStore spec that opens it (to
      read it whole or in shards). A bare tree of parameters appears below `optimizer/target`.
    Raises:
      CheckpointError: missing, damaged or of a later version.
    """
    folder, file, content = _find(location)
    try:
        tree = serialization.msgpack_restore(content)
        if not isinstance(tree, dict):
            raise TypeError(f"a {type(tree).__name__}, not a tree")
        if "optimizer" not in tree:
            tree = {"optimizer": {"target": tree.get("params", tree), "state": {"step": 0}}}
        flat = flatten_dict(tree, sep="/", is_leaf=lambda _, node: "kvstore" in node)
    # What msgpack, NumPy and flax raise for bytes that are not theirs.
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"The checkpoint file {folder}/{file} is truncated or is not flax msgpack ({error})."
        ) from error
    version = flat.pop("version", VERSION)
    if not isinstance(version, int) or version > VERSION:
        raise CheckpointError(
            f"The checkpoint {location} has T5X version {version!r}; up to {VERSION} can be read."
        )
    return {
        name: _rebased(folder, leaf) if isinstance(leaf, dict) else leaf
        for name, leaf in flat.items()
        if leaf is not None  # T5X masks the state of frozen parameters so
    }


def write(location: str | Path, checkpoint: Checkpoint) -> None:
    """Writes the folder form as T5X does; an existing one is replaced when the new is whole.

    Kernels and the embedding go to zarr, everything else into the msgpack file, which is written
    last: without it nobody takes the folder for a checkpoint. Equal checkpoints that lie on devices
    alike give equal bytes.

    Args:
      location: a local folder or `gs://bucket/path`.
      checkpoint: with NumPy arrays, or JAX's: of these every process of the job writes what its
        devices hold, and all must call this.
    """
    location = str(location)
    if location.startswith("gs://"):
        if multihost.is_primary():
            storage.delete_folder(location)
        _write(location, checkpoint)
        return
    path = Path(location)
    shared = contextlib.nullcontext(partial_directory(path))
    with atomic_directory(path) if multihost.is_primary() else shared as partial:
        _write(str(partial), checkpoint)


def _write(folder: str, checkpoint: Checkpoint) -> None:
    """Every process what its devices hold, and then the first one the msgpack file."""
    flat: dict[str, Any] = {f"target/{name}": array for name, array in checkpoint.params.items()}
    for name, slots in checkpoint.optimizer.items():
        flat |= {f"state/param_states/{name}/{slot}": array for slot, array in slots.items()}
    in_zarr = []
    for name, array in flat.items():
        if name.split("/")[-1] in _STORED_IN_ZARR or array.nbytes > arrays.CHUNK_BYTES:
            flat[name] = _spec(name, array)
            in_zarr.append((_rebased(folder, flat[name]), array))
        else:
            flat[name] = np.asarray(array)
    multihost.barrier("the folder is there")
    with storage.clear_errors(f"The checkpoint {folder} cannot be written"):
        arrays.write(in_zarr)
    multihost.barrier("the arrays are written")
    if multihost.is_primary():
        tree = unflatten_dict(flat, sep="/")
        tree.setdefault("state", {}).setdefault("param_states", {})
        tree["state"]["step"] = np.asarray(checkpoint.step, np.int32)
        content = serialization.msgpack_serialize({"version": VERSION, "optimizer": tree})
        storage.write_bytes(f"{folder}/checkpoint", content)


def _find(location: str) -> tuple[str, str, bytes]:
    """The folder of the zarr arrays; the msgpack file's name in it, and its content."""
    location = location.rstrip("/")
    parent, name = os.path.split(location)
    for folder, file in ((location, "checkpoint"), (parent, name)):
        content = storage.read_bytes(folder, file)
        if content is not None:
            return folder, file, content
    raise CheckpointError(
        f"There is no T5X checkpoint at {location}: it should be a folder with a file "
        "`checkpoint`, or a msgpack file."
    )


def _rebased(folder: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec for the place the checkpoint is read from, which is rarely where it was written.

    A chunk that is not there must be an error: zarr would read it as zeros.
    """
    kvstore = spec["kvstore"]
    path = kvstore.get("path", spec.get("path", "")) if isinstance(kvstore, dict) else ""
    return {
        "driver": "zarr",
        "kvstore": storage.kvstore(folder, str(path)),
        "metadata": spec.get("metadata", {}),
        "fill_missing_data_reads": False,
    }


def _spec(name: str, array: np.ndarray | jax.Array) -> dict[str, Any]:
    dtype = array.dtype
    return {
        "driver": "zarr",
        "kvstore": {"driver": "file", "path": name.replace("/", ".")},
        "metadata": {
            "chunks": arrays.chunks(array),
            "compressor": {"id": "gzip", "level": 1},
            "dtype": dtype.name if dtype.kind == "V" else dtype.str,  # V: bfloat16
            "shape": list(array.shape),
        },
    }


def _opened(location: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves; those that are arrays become `LazyArray`, opened when they are read."""
    opened = dict(found)
    for name, leaf in found.items():
        if isinstance(leaf, dict):
            with _naming(location, name):
                opened[name] = _of_zarr(location, name, leaf)
        elif isinstance(leaf, np.ndarray | np.generic):
            array = np.asarray(leaf)
            opened[name] = LazyArray(array.shape, array.dtype, array.__getitem__)
    return opened


def _of_zarr(location: str, name: str, spec: dict[str, Any]) -> LazyArray:
    def read(index: Index) -> np.ndarray:
        with _naming(location, name):
            store = ts.open(spec, open=True, context=storage.CONTEXT).result()
            part = store[index].read().result()
            _check_ends(store)
        return part

    # T5X writes shape and type into the msgpack file; else the array itself tells.
    known: Any = ts.Spec(spec)
    if known.rank is None or known.dtype is None:
        known = ts.open(spec, open=True, context=storage.CONTEXT).result()
    return LazyArray(tuple(known.shape), known.dtype.numpy_dtype, read)


def _naming(location: str, array: str) -> contextlib.AbstractContextManager[None]:
    name = array.removeprefix(_TARGET)
    return storage.clear_errors(f"The array {name} of the checkpoint {location} cannot be read")


def _check_ends(store: ts.TensorStore) -> None:
    """TensorStore accepts a chunk whose last bytes, gzip's checksum and length, are cut off."""
    spec = store.spec(retain_context=False).to_json()
    compressor = spec["metadata"]["compressor"] or {}
    if spec["kvstore"]["driver"] != "file" or compressor.get("id") != "gzip":
        return
    chunk_bytes = math.prod(spec["metadata"]["chunks"]) * store.dtype.numpy_dtype.itemsize
    for chunk in Path(spec["kvstore"]["path"]).glob("[0-9]*"):
        with chunk.open("rb") as file:
            file.seek(-4, os.SEEK_END)
            if int.from_bytes(file.read(), "little") != chunk_bytes % 2**32:
                raise ValueError(f"{chunk} is truncated")


def _sort_out(location: str, found: Mapping[str, Any]) -> Checkpoint:
    """Gives every leaf its place; what has none is an error."""
    params: dict[str, LazyArray] = {}
    optimizer: dict[str, dict[str, LazyArray]] = {}
    unknown = []
    for name, leaf in found.items():
        parameter, _, slot = name.removeprefix(_STATES).rpartition("/")
        if name == _STEP:
            continue
        if not isinstance(leaf, LazyArray):
            unknown.append(name)
        elif name.startswith(_TARGET):
            params[name.removeprefix(_TARGET)] = leaf
        elif name.startswith(_STATES) and slot in SLOTS:
            optimizer.setdefault(parameter, {})[slot] = leaf
        else:
            unknown.append(name)
    if unknown:
        raise CheckpointError(
            f"The checkpoint {location} has entries that T5X's have not:\n  " + "\n  ".join(unknown)
        )
    step = found.get(_STEP)
    if isinstance(step, LazyArray) and math.prod(step.shape) == 1:
        step = step.whole().item()
    if not isinstance(step, int | np.integer):
        raise CheckpointError(f"The checkpoint {location} has no step number at {_STEP}.")
    return Checkpoint(int(step), params, optimizer)
