"""How a training lies on its devices: one mesh, `data` x `model`, over all processes.

Parameters are split along `model`, batches along `data`; prompts and optimiser states are on every
device. What does not divide is on every device too. The results do not depend on the layout but for
the order in which sums are rounded. One device is no special case.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import mesh_utils, multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding
from jaxtyping import Array, Key

from promptscale.errors import ConfigError

DATA, MODEL = "data", "model"

# Which axis of a parameter is split: heads of attention, d_ff of the MLP, the vocabulary.
_SPLIT = (
    (re.compile(r".*/(query|key|value|wi_0|wi_1|logits_dense)/kernel"), 1),
    (re.compile(r".*/(out|wo)/kernel|token_embedder/embedding"), 0),
)


class Layout(NamedTuple):
    """`model_axis` devices share the parameters, or all there are if these are fewer.

    `examples_at_a_time` of a batch pass through the model (0: all).
    """

    model_axis: int = 1
    examples_at_a_time: int = 0


SINGLE_DEVICE = Layout()


class Devices:
    """All devices of all processes as a mesh, and where arrays go on it."""

    def __init__(
        self, layout: Layout = SINGLE_DEVICE, devices: Sequence[jax.Device] | None = None
    ) -> None:
        """Lays the mesh, neighbours on a slice's torus side by side.

        Args:
          layout: see `Layout`.
          devices: what to lay it on, if not on all devices of all processes.
        Raises:
          ConfigError: the devices cannot be divided so.
        """
        devices = jax.devices() if devices is None else devices
        model_axis = min(layout.model_axis, len(devices))
        if len(devices) % model_axis:
            raise ConfigError(
                f"`hardware` asks for a model_axis of {layout.model_axis}, which does not divide "
                f"the {len(devices)} devices that there are."
            )
        grid = mesh_utils.create_device_mesh(
            (len(devices) // model_axis, model_axis), devices, allow_split_physical_axes=True
        )
        self.mesh = Mesh(grid, (DATA, MODEL))
        self.examples_at_a_time = layout.examples_at_a_time

    @property
    def data_axis(self) -> int:
        """How many parts batches are split into."""
        return self.mesh.shape[DATA]

    def replicated(self) -> NamedSharding:
        """On every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    def parameter(self, name: str, shape: tuple[int, ...], runs: bool = False) -> NamedSharding:
        """Where a parameter goes, by its T5X name; with a leading axis of `runs` or without."""
        for pattern, axis in _SPLIT:
            if pattern.fullmatch(name) and shape[axis] % self.mesh.shape[MODEL] == 0:
                parts: list[str | None] = [None] * len(shape)
                parts[axis] = MODEL
                return NamedSharding(self.mesh, PartitionSpec(*[None] * runs, *parts))
        return self.replicated()

    def replicate(self, tree: Any) -> Any:
        """Puts arrays that every process holds whole on every device."""
        return jax.tree.map(lambda leaf: put(to_host(leaf), self.replicated()), tree)

    def keys(self, seeds: list[int]) -> Key[Array, " N"]:
        """A PRNG key for each seed, on every device."""
        make = jax.jit(jax.vmap(jax.random.key), out_shardings=self.replicated())
        return make(self.replicate(np.asarray(seeds, np.int32)))

    def batch_sharding(self, size: int, axis: int) -> NamedSharding:
        """Where an array goes whose `axis` holds `size` examples."""
        if size % self.data_axis:
            return self.replicated()
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, DATA))

    def local_rows(self, size: int) -> slice:
        """From the first to the last of `size` examples that this process's devices need."""
        sharding = self.batch_sharding(size, 0)
        parts = sharding.addressable_devices_indices_map((size,)).values()
        slices = [index[0] for index in parts if index is not None]
        starts, stops, _ = zip(*(one.indices(size) for one in slices), strict=True)
        return slice(min(starts), max(stops))

    def shard_batch(self, rows: np.ndarray, size: int, axis: int) -> jax.Array:
        """The global array of `size` examples along `axis`, from this process's `local_rows`."""
        shape = (*rows.shape[:axis], size, *rows.shape[axis + 1 :])
        first = self.local_rows(size).start

        def read(index: Any) -> np.ndarray:
            start, stop, _ = index[axis].indices(size)
            return rows[(*index[:axis], slice(start - first, stop - first), *index[axis + 1 :])]

        return jax.make_array_from_callback(shape, self.batch_sharding(size, axis), read)


def put(array: np.ndarray, sharding: Sharding) -> jax.Array:
    """An array that every process holds whole, in its place."""
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def put_parts(
    shape: tuple[int, ...], sharding: Sharding, read: Callable[[Any], np.ndarray]
) -> jax.Array:
    """An array in its place, of which only the parts are read that this process's devices hold.

    `read` gives the part at a tuple of slices; a part that several devices hold is read once.
    """
    known: dict[str, np.ndarray] = {}

    def part(index: Any) -> np.ndarray:
        key = repr(index)
        if key not in known:
            known[key] = read(index)
        return known[key]

    return jax.make_array_from_callback(shape, sharding, part)


def to_host(array: Any) -> np.ndarray:
    """The whole of an array, wherever its parts are; every process must ask for it."""
    whole = not isinstance(array, jax.Array) or array.is_fully_addressable
    if whole or array.is_fully_replicated:
        return np.asarray(array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))
