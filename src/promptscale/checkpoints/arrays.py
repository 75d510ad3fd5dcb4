"""Arrays that are read in the parts that are wanted, and written in the parts that devices hold."""

import concurrent.futures
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import tensorstore as ts

from promptscale.distributed import multihost
from promptscale.storage import store as storage

AT_ONCE = 16  # arrays that are read or written at a time
CHUNK_BYTES = 64 * 2**20  # T5X aims at chunks of this size

Index = Any  # a tuple of slices; JAX's own annotation allows more
Spec = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class LazyArray:
    """An array that has not been read: `read` gives the part that a tuple of slices asks for."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[Index], np.ndarray]

    def whole(self) -> np.ndarray:
        """All of it."""
        return np.asarray(self.read((slice(None),) * len(self.shape)))


def write(arrays: Sequence[tuple[Spec, Any]]) -> None:
    """Writes arrays to where their TensorStore specs say; for all processes to call.

    Each process writes parts that its own devices hold, and the first one all of NumPy's arrays. An
    array is whole once all processes have returned.

    Raises:
      ValueError, OSError: TensorStore's, where something cannot be written.
    """
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(_write, *one) for one in arrays]:
            future.result()


def _write(spec: Spec, array: Any) -> None:
    parts = list(_own_parts(array))
    if parts:
        store = ts.open(spec, open=True, create=True, context=storage.CONTEXT).result()
        for index, part in parts:
            store[index].write(np.asarray(part)).result()


def _own_parts(array: Any) -> Iterator[tuple[Index, Any]]:
    """The parts that are this process's to write: of those that several devices hold, one."""
    if isinstance(array, jax.Array):
        for shard in array.addressable_shards:
            if shard.replica_id == 0:
                yield shard.index, shard.data
    elif multihost.is_primary():
        yield (slice(None),) * array.ndim, array


def chunks(array: Any) -> list[int]:
    """The sides of an array's chunks: the longest is halved until a chunk is small enough.

    A side that is split between devices has chunks that divide a device's part, as no two processes
    may write into one chunk.
    """
    shape = list(array.shape)
    if isinstance(array, jax.Array):
        shape = list(array.sharding.shard_shape(array.shape))
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
