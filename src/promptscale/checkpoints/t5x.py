"""T5X checkpoints: a msgpack tree of small arrays and a zarr array for each large array.

The format (version 3 of google-research/t5x, `t5x/checkpoints.py`): a folder with a flax-msgpack
file `checkpoint` that holds `{version, optimizer: {target, state: {step, param_states}}}`. A large
array is a TensorStore spec in this tree; its relative path names a zarr array in the same folder.
The older single-file format is the same tree with every array in it.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorstore as ts
from flax import serialization
from flax.traverse_util import flatten_dict, unflatten_dict

from promptscale.checkpoints import arrays, recognize
from promptscale.checkpoints.arrays import Index, LazyArray
from promptscale.distributed import multihost
from promptscale.errors import CheckpointError, shortened
from promptscale.storage.atomic import atomic_directory, partial_directory
from promptscale.storage.contents import describe_content
from promptscale.storage.location import is_remote, resolve
from promptscale.storage.reasons import named_errors, reason
from promptscale.storage.store import CONTEXT, Store, open_parent

VERSION = 3
SLOTS = ("m", "v", "v_row", "v_col")  # Adafactor's accumulators; unused ones have shape (1,)

_TARGET = "optimizer/target/"
_STATE = "optimizer/state/"
_STATES = f"{_STATE}param_states/"
_STEP = f"{_STATE}step"
_STORED_IN_ZARR = ("kernel", "embedding")  # the arrays that T5X partitions; others are small


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model's state under T5X's flat names, such as `encoder/layers_0/attention/query/kernel`."""

    step: int  # the number of optimiser steps; 0 where the file has no step
    params: dict[str, Any]  # arrays
    optimizer: dict[str, dict[str, Any]]  # Adafactor's accumulators by parameter; may be empty

    def map(self, function: Callable[[str, Any], Any]) -> "Checkpoint":
        """The checkpoint with `function(name, array)` in place of each array; runs in threads.

        The name of an accumulator is `<parameter>/<slot>`.
        """
        flat = flatten_dict({"params": self.params, "optimizer": self.optimizer})
        names = ["/".join(path[1:]) for path in flat]
        with concurrent.futures.ThreadPoolExecutor(arrays.AT_ONCE) as pool:
            results = pool.map(function, names, flat.values())
            tree = unflatten_dict(dict(zip(flat, results, strict=True)))
        return Checkpoint(self.step, tree.get("params", {}), tree.get("optimizer", {}))


def open_checkpoint(location: str, *, with_optimizer: bool = True) -> Checkpoint:
    """Opens a checkpoint, and its accumulators if `with_optimizer`; arrays are `LazyArray`.

    The location is the checkpoint's folder, its file `checkpoint`, or a single-file checkpoint,
    local or at `gs://`. A single file may also hold a bare tree of parameters (under `params` or
    not). Google Cloud Storage is read with the machine's default credentials if there are any and
    anonymously otherwise; TENSORSTORE_GCS_HTTP_URL sets another address.

    Raises:
      CheckpointError: the checkpoint is missing, damaged, incomplete, not T5X's or of a later
        version; damage of an array is noticed when the array is read.
    """
    location = resolve(location, CheckpointError)
    leaves = _read_leaves(location)
    if not with_optimizer:
        leaves = {
            name: leaf
            for name, leaf in leaves.items()
            if name == _STEP or not name.startswith(_STATE)
        }
    opened = {name: _opened(location, name, leaf) for name, leaf in leaves.items()}
    return _to_checkpoint(location, opened)


def _read_leaves(location: str) -> dict[str, Any]:
    """Reads the msgpack tree: the value of each leaf by its flat name.

    A zarr array is the TensorStore spec that opens it. A bare tree of parameters is below
    `optimizer/target`.
    """
    folder, file, content = _read_msgpack(location)
    try:
        tree = serialization.msgpack_restore(content)
        if not isinstance(tree, dict):
            raise TypeError(f"a {type(tree).__name__}, not a tree")
        if "optimizer" not in tree:
            tree = {"optimizer": {"target": tree.get("params", tree), "state": {"step": 0}}}
        flat = flatten_dict(tree, sep="/", is_leaf=lambda _, node: "kvstore" in node)
    # The exceptions of msgpack, NumPy and flax for damaged bytes.
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"The checkpoint file {folder}/{file} is not flax msgpack ({reason(error)}): "
            f"{describe_content(content)}."
        ) from error
    version = flat.pop("version", VERSION)
    if not isinstance(version, int) or version > VERSION:
        raise CheckpointError(
            f"The checkpoint {location} has T5X version {version!r}; up to {VERSION} can be read."
        )
    if any(isinstance(leaf, str) and leaf.startswith("PLACEHOLDER://") for leaf in flat.values()):
        raise CheckpointError(f"The checkpoint {location} cannot be read: {recognize.ORBAX}.")
    return {
        name: _rebased(folder, leaf) if isinstance(leaf, dict) else leaf
        for name, leaf in flat.items()
        if leaf is not None  # T5X masks the state of frozen parameters with None
    }


def write(location: str | Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint in the folder format of T5X; replaces an existing one.

    A local folder is replaced atomically. In a bucket the existing checkpoint is deleted first.

    Kernels and the embedding are written to zarr, everything else to the msgpack file. That file is
    written last, because a folder without it is not a checkpoint. Equal checkpoints with equal
    shardings give equal bytes. The location is a local folder or at `gs://`. Arrays are NumPy's,
    JAX's or `LazyArray`, which are read chunk by chunk. All processes must call this function: each
    writes the parts that its devices hold.

    Raises:
      CheckpointError: the checkpoint cannot be written.
    """
    location = resolve(str(location), CheckpointError)
    if is_remote(location):
        if multihost.is_primary():
            Store(location, CheckpointError).delete_prefix("")
        _write(location, checkpoint)
        return
    path = Path(location)
    shared = contextlib.nullcontext(partial_directory(path))
    whole = atomic_directory(path, CheckpointError)
    with whole if multihost.is_primary() else shared as partial:
        _write(str(partial), checkpoint)


def _write(folder: str, checkpoint: Checkpoint) -> None:
    """Writes the arrays from all processes, then the msgpack file from the primary process."""
    state = {"param_states": checkpoint.optimizer}
    flat = flatten_dict({"target": checkpoint.params, "state": state}, sep="/")
    in_zarr = []
    for name, array in flat.items():
        if name.split("/")[-1] in _STORED_IN_ZARR or array.nbytes > arrays.CHUNK_BYTES:
            flat[name] = _spec(name, array)
            in_zarr.append((_rebased(folder, flat[name]), array))
        else:
            flat[name] = array.whole() if isinstance(array, LazyArray) else np.asarray(array)
    multihost.barrier("the folder exists")
    with named_errors(f"The checkpoint {folder} cannot be written", CheckpointError):
        arrays.write(in_zarr)
    multihost.barrier("the arrays are written")
    if multihost.is_primary():
        tree = unflatten_dict(flat, sep="/")
        tree.setdefault("state", {}).setdefault("param_states", {})
        tree["state"]["step"] = np.asarray(checkpoint.step, np.int32)
        content = serialization.msgpack_serialize({"version": VERSION, "optimizer": tree})
        Store(folder, CheckpointError).write("checkpoint", content)


def _read_msgpack(location: str) -> tuple[str, str, bytes]:
    """The checkpoint's folder, the name of the msgpack file in it, and the file's content."""
    content = Store(location, CheckpointError).read("checkpoint")
    if content is not None:
        return location, "checkpoint", content
    parent, name = open_parent(location, CheckpointError)
    content = parent.read(name)
    if content is None:
        raise CheckpointError(
            f"There is no checkpoint at {location}: {_description(location)}; it should be a "
            "folder with a file `checkpoint` (T5X) or model.safetensors (Hugging Face), or a "
            "msgpack file."
        )
    return parent.location, name, content


def _description(location: str) -> str:
    """What is at a location without a checkpoint, as a clause."""
    folder = Store(location, CheckpointError)
    if not is_remote(location) and Path(location).is_dir():
        return recognize.describe_folder(folder.names())
    names = folder.names() if is_remote(location) else set()
    if not names and (is_remote(location) or Path(location).parent.is_dir()):
        # A checkpoint of TensorFlow is named by the beginning of its files' names.
        parent, name = open_parent(location, CheckpointError)
        names = parent.keys(f"{name}.")
    return recognize.describe_folder(names) if names else "no such file or folder"


def _rebased(folder: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of an array in `folder`; the stored spec names where the array was first written.

    A missing chunk is made an error, as zarr reads it as zeros.
    """
    kvstore = spec["kvstore"]
    path = kvstore.get("path", spec.get("path", "")) if isinstance(kvstore, dict) else ""
    return {
        "driver": "zarr",
        "kvstore": Store(folder).spec(str(path)),
        "metadata": spec.get("metadata", {}),
        "fill_missing_data_reads": False,
    }


def _spec(name: str, array: np.ndarray | jax.Array | LazyArray) -> dict[str, Any]:
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


def _opened(location: str, name: str, leaf: Any) -> Any:
    """A `LazyArray` for an array or a spec; any other leaf stays as it is."""
    if isinstance(leaf, dict):
        what = f"The array {name.removeprefix(_TARGET)} of the checkpoint {location} cannot be read"
        with named_errors(what, CheckpointError):
            return _zarr_array(leaf, what)
    if isinstance(leaf, np.ndarray | np.generic):
        array = np.asarray(leaf)
        return LazyArray(array.shape, array.dtype, array.__getitem__)
    return leaf


def _zarr_array(spec: dict[str, Any], what: str) -> LazyArray:
    """Opens a zarr array; `what` begins the message of an error while it is read."""

    @functools.cache
    def open_store() -> ts.TensorStore:
        store = ts.open(spec, open=True, context=CONTEXT).result()
        _refuse_truncated_chunks(store)
        return store

    def read(index: Index) -> np.ndarray:
        with named_errors(what, CheckpointError):
            return open_store()[index].read().result()

    # T5X writes shape and dtype into the msgpack file; in other files only the array has them.
    header: Any = ts.Spec(spec)
    if header.rank is None or header.dtype is None:
        header = ts.open(spec, open=True, context=CONTEXT).result()
    return LazyArray(tuple(header.shape), header.dtype.numpy_dtype, read)


def _refuse_truncated_chunks(store: ts.TensorStore) -> None:
    """Raises ValueError if a local gzip chunk lacks its last bytes.

    TensorStore 0.1.86 does not require gzip's trailer (checksum and length, 8 bytes): it accepts a
    chunk that ends anywhere in it. A broken copy leaves such files on a disk; a bucket stores an
    object completely or not at all, so there the check would cost a request per chunk for nothing.
    """
    spec = store.spec(retain_context=False).to_json()
    compressor = spec["metadata"]["compressor"] or {}
    if spec["kvstore"]["driver"] != "file" or compressor.get("id") != "gzip":
        return
    chunk_bytes = math.prod(spec["metadata"]["chunks"]) * store.dtype.numpy_dtype.itemsize
    for chunk in Path(spec["kvstore"]["path"]).glob("[0-9]*"):
        with chunk.open("rb") as file:
            file.seek(max(0, chunk.stat().st_size - 4))
            if int.from_bytes(file.read(), "little") != chunk_bytes % 2**32:
                raise ValueError(f"{chunk} is truncated")


def _to_checkpoint(location: str, leaves: Mapping[str, Any]) -> Checkpoint:
    """Sorts leaves into parameters, accumulators and the step; any other leaf is an error."""
    params: dict[str, LazyArray] = {}
    optimizer: dict[str, dict[str, LazyArray]] = {}
    unknown = []
    for name, leaf in leaves.items():
        parameter, _, slot = name.removeprefix(_STATES).rpartition("/")
        if isinstance(leaf, LazyArray) and name.startswith(_TARGET):
            params[name.removeprefix(_TARGET)] = leaf
        elif isinstance(leaf, LazyArray) and name.startswith(_STATES) and slot in SLOTS:
            optimizer.setdefault(parameter, {})[slot] = leaf
        elif name != _STEP:
            unknown.append(name)
    if unknown:
        are_states = all(name.startswith(_STATE) for name in unknown)
        advice = "; model tuning does without them if `restore_accumulators` is false"
        raise CheckpointError(
            f"The checkpoint {location} has entries that T5X with Adafactor does not have: "
            f"{shortened(unknown)}{advice if are_states else ''}."
        )
    step = leaves.get(_STEP)
    if isinstance(step, LazyArray) and math.prod(step.shape) == 1:
        step = step.whole().item()
    if not isinstance(step, int | np.integer) or not 0 <= step < 2**31:
        raise CheckpointError(f"The checkpoint {location} has no step number at {_STEP}.")
    return Checkpoint(int(step), params, optimizer)
