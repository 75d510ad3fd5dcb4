"""Arrays that are read part by part, and written by the processes whose devices hold the parts."""

import concurrent.futures
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import tensorstore as ts

from promptscale.distributed import multihost
from promptscale.errors import CheckpointError
from promptscale.storage.store import CONTEXT

AT_ONCE = 16  # arrays that are read or written concurrently
CHUNK_BYTES = 64 * 2**20  # upper bound of a chunk; T5X aims at the same size

Index = Any  # a tuple of slices; JAX's annotation allows more
Spec = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class LazyArray:
    """An array in storage: `read` reads the part at a tuple of slices."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[Index], np.ndarray]

    @property
    def nbytes(self) -> int:
        """The number of bytes of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def whole(self) -> np.ndarray:
        """Reads the whole array."""
        return np.asarray(self.read((slice(None),) * len(self.shape)))

    def astype(self, dtype: np.dtype) -> "LazyArray":
        """The array in another dtype; parts are cast when they are read."""
        return LazyArray(self.shape, dtype, lambda index: self.read(index).astype(dtype))


def finite(name: str, array: LazyArray) -> LazyArray:
    """The array, in at most float32, whose parts are checked while they are read.

    Reading raises CheckpointError, with the array's `name`, where a value of the part is NaN or
    infinite in that dtype.
    """
    dtype = np.dtype(np.float32) if array.dtype == np.float64 else array.dtype

    def read(index: Index) -> np.ndarray:
        with np.errstate(over="ignore"):
            part = array.read(index).astype(dtype, copy=False)
        if count := part.size - np.count_nonzero(np.isfinite(part)):
            raise CheckpointError(
                f"{count} of the {part.size} values that were read of {name} are NaN or beyond "
                f"the range of {dtype.name}."
            )
        return part

    return LazyArray(array.shape, dtype, read)


def write(arrays: Sequence[tuple[Spec, Any]]) -> None:
    """Writes arrays to the places that their TensorStore specs name; all processes must call it.

    Each process writes the parts of JAX arrays that its devices hold; the primary process writes
    the others. A `LazyArray` is read and written chunk by chunk. An array is complete when all
    processes have returned. TensorStore's errors are raised: ValueError and OSError.
    """
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(_write, spec, array) for spec, array in arrays]:
            future.result()


def _write(spec: Spec, array: Any) -> None:
    """Writes this process's parts; a part that several devices hold is written once."""
    parts: Iterator[tuple[Index, Any]]
    if isinstance(array, jax.Array):
        shards = [shard for shard in array.addressable_shards if shard.replica_id == 0]
        is_writer, parts = bool(shards), ((shard.index, shard.data) for shard in shards)
    else:
        is_writer, parts = multihost.is_primary(), _parts(array)
    if is_writer:
        store = ts.open(spec, open=True, create=True, context=CONTEXT).result()
        for index, part in parts:
            store[index].write(np.asarray(part)).result()


def _parts(array: np.ndarray | LazyArray) -> Iterator[tuple[Index, np.ndarray]]:
    """The chunks of a lazy array, each read when it is asked for, or the whole of another array."""
    if not isinstance(array, LazyArray):
        yield (slice(None),) * array.ndim, array
        return
    sides = chunks(array)
    starts = (range(0, whole, side) for whole, side in zip(array.shape, sides, strict=True))
    for corner in itertools.product(*starts):
        index = tuple(
            slice(start, min(start + side, whole))  # TensorStore refuses an end beyond the array
            for start, side, whole in zip(corner, sides, array.shape, strict=True)
        )
        yield index, array.read(index)


def chunks(array: Any) -> list[int]:
    """The chunk shape of an array: the longest side is halved until a chunk has <= CHUNK_BYTES.

    Where an axis is sharded, the chunk's side divides the side of a device's part, because two
    processes must not write to the same chunk.
    """
    is_sharded = isinstance(array, jax.Array)
    shape = array.sharding.shard_shape(array.shape) if is_sharded else array.shape
    sides = [max(side, 1) for side in shape]
    while math.prod(sides) * array.dtype.itemsize > CHUNK_BYTES:
        free = [
            side if part == whole or side % 2 == 0 else 0
            for side, part, whole in zip(sides, shape, array.shape, strict=True)
        ]
        longest = free.index(max(free))
        if free[longest] < 2:
            break
        sides[longest] = -(-sides[longest] // 2)
    return sides
