"""The mesh of devices, with the axes `data` and `model`, over all processes of a job.

Parameters are sharded along `model`, batches along `data`. Prompts and optimiser states are
replicated, and so is every array whose axis the mesh does not divide. Results depend on the layout
only through the order in which sums are rounded. A single device is a mesh of 1 x 1.
"""

import math
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

# The axis of a parameter that is sharded: attention heads, the MLP's d_ff, or the vocabulary.
_SPLIT = (
    (re.compile(r".*/(query|key|value|wi_0|wi_1|logits_dense)/kernel"), 1),
    (re.compile(r".*/(out|wo)/kernel|token_embedder/embedding"), 0),
)


class Layout(NamedTuple):
    """How a job uses its devices."""

    model_axis: int = 1  # the number of devices that share the parameters; at most all devices
    token_budget: int = 0  # positions that pass at a time on each part of `data`; 0: the default
    peak_tflops: int = 0  # of all devices, in 10^12 operations per second; 0: not known


SINGLE_DEVICE = Layout()

# The default token budgets. What a CPU computes at a time should stay in its cache. On a GPU narrow
# models need many positions at a time to fill it, and wide models need much memory for each: the
# budget is 2^24 / d_model, at most 2^15. Prompt tuning in bfloat16 then takes at most 12 GB beside
# the parameters (T5 1.1 on an H200, docs/benchmarks.md).
_TOKEN_BUDGETS = {"cpu": 2**11}
_OTHER_TOKEN_BUDGET = 2**13  # of TPUs
_GPU_TOKENS_TIMES_WIDTH, _MOST_GPU_TOKENS = 2**24, 2**15

# Numbers of positions are multiples of this. XLA and cuDNN would pad other numbers, or use slower
# kernels for them.
_MULTIPLES = {"cpu": 1}
_OTHER_MULTIPLE = 8  # of other devices

# The positions that pass together in decoding. With twice as many a CPU takes 7.7 s instead of 6.5
# (T5 1.1 Small, docs/benchmarks.md). Elsewhere the keys and values of all layers of the decoder
# take 0.4 MB for each position in T5 1.1 XXL, 13 GB in all; those of generated tokens come on top.
_DECODED_POSITIONS = {"cpu": 2**12}
_OTHER_DECODED_POSITIONS = 2**15  # of other devices

# The operations that a device does in the time that it loses with a micro-batch, roughly: some
# hundredths of a second on two CPU cores, some thousandths elsewhere (2.4 ms for T5 1.1 Small on an
# H200, docs/benchmarks.md).
_LAUNCH_FLOPS = {"cpu": 2.0**32}
_OTHER_LAUNCH_FLOPS = 2.0**40  # of other devices

# What a device computes in the time that a program takes to compile, roughly. On a CPU and on a GPU
# a program compiles in some ten seconds whatever the model's width: it is a number of operations.
# Tiny models compile faster, and TPUs compute fast even with XXL: it is a number of positions.
_COMPILATION_FLOPS = {"cpu": 2.0**40, "gpu": 2.0**51}
_COMPILATION_POSITIONS = {"cpu": 2.0**17, "gpu": math.inf}
_OTHER_COMPILATION_POSITIONS = 2.0**17  # of TPUs


class Devices:
    """All devices of all processes as a mesh, and the shardings of arrays on it."""

    def __init__(
        self, layout: Layout = SINGLE_DEVICE, devices: Sequence[jax.Device] | None = None
    ) -> None:
        """Makes the mesh of `devices`, by default of all devices of all processes.

        Neighbours in it are neighbours in the torus of a TPU slice.

        Raises:
          ConfigError: `model_axis` does not divide the number of devices.
        """
        devices = jax.devices() if devices is None else devices
        model_axis = min(layout.model_axis, len(devices))
        if len(devices) % model_axis:
            raise ConfigError(
                f"`hardware` asks for a model_axis of {layout.model_axis}, which does not divide "
                f"the {len(devices)} devices of this job."
            )
        grid = mesh_utils.create_device_mesh(
            (len(devices) // model_axis, model_axis), devices, allow_split_physical_axes=True
        )
        self.mesh = Mesh(grid, (DATA, MODEL))
        self.peak_flops = 1e12 * layout.peak_tflops
        self._token_budget = layout.token_budget
        platform = self._platform = devices[0].platform
        self.multiple = _MULTIPLES.get(platform, _OTHER_MULTIPLE)
        self.decoded_positions = _DECODED_POSITIONS.get(platform, _OTHER_DECODED_POSITIONS)
        self.launch_flops = _LAUNCH_FLOPS.get(platform, _OTHER_LAUNCH_FLOPS)

    def token_budget(self, d_model: int) -> int:
        """The positions that pass at a time through a model, on each part of `data`."""
        default = _TOKEN_BUDGETS.get(self._platform, _OTHER_TOKEN_BUDGET)
        if self._platform == "gpu":
            default = min(_MOST_GPU_TOKENS, _GPU_TOKENS_TIMES_WIDTH // d_model)
        return self._token_budget or default

    def compilation(self, flops: float) -> float:
        """The positions, of `flops` each, that are computed while a program compiles."""
        most = _COMPILATION_POSITIONS.get(self._platform, _OTHER_COMPILATION_POSITIONS)
        return min(most, _COMPILATION_FLOPS.get(self._platform, math.inf) / flops)

    @property
    def data_axis(self) -> int:
        """The size of the mesh's `data` axis: the number of parts of a batch."""
        return self.mesh.shape[DATA]

    def replicated(self) -> NamedSharding:
        """The sharding of an array that every device holds whole."""
        return NamedSharding(self.mesh, PartitionSpec())

    def parameter(self, name: str, shape: tuple[int, ...], runs: bool = False) -> NamedSharding:
        """The sharding of a parameter, by its T5X name and its shape without the axis of runs.

        `runs` says whether the array has a leading axis of runs, which is not sharded.
        """
        for pattern, axis in _SPLIT:
            if pattern.fullmatch(name) and shape[axis] % self.mesh.shape[MODEL] == 0:
                parts: list[str | None] = [None] * len(shape)
                parts[axis] = MODEL
                return NamedSharding(self.mesh, PartitionSpec(*[None] * runs, *parts))
        return self.replicated()

    def replicate(self, tree: Any) -> Any:
        """Replicates arrays, which every process holds whole, on every device."""

        def place(leaf: Any) -> jax.Array:
            array = to_host(leaf)
            return put_parts(array.shape, self.replicated(), array.__getitem__)

        return jax.tree.map(place, tree)

    def keys(self, seeds: list[int]) -> Key[Array, " N"]:
        """A PRNG key for each seed, replicated."""
        make = jax.jit(jax.vmap(jax.random.key), out_shardings=self.replicated())
        return make(self.replicate(np.asarray(seeds, np.int32)))

    def batch_sharding(self, size: int) -> NamedSharding:
        """The sharding of an array of `size` rows."""
        if size % self.data_axis:
            return self.replicated()
        return NamedSharding(self.mesh, PartitionSpec(DATA))

    def local_rows(self, size: int) -> slice:
        """The range, among `size` examples, that covers what this process's devices hold."""
        sharding = self.batch_sharding(size)
        parts = sharding.addressable_devices_indices_map((size,)).values()
        slices = [index[0] for index in parts if index is not None]
        starts, stops, _ = zip(*(part.indices(size) for part in slices), strict=True)
        return slice(min(starts), max(stops))

    def shard_rows(self, tree: Any, size: int) -> Any:
        """The global arrays with `size` rows, from this process's `local_rows` of each."""
        first, sharding = self.local_rows(size).start, self.batch_sharding(size)

        def shard(rows: np.ndarray) -> jax.Array:
            def read(index: Any) -> np.ndarray:
                start, stop, _ = index[0].indices(size)
                return rows[start - first : stop - first][:, *index[1:]]

            return jax.make_array_from_callback((size, *rows.shape[1:]), sharding, read)

        return jax.tree.map(shard, tree)


def put_parts(
    shape: tuple[int, ...], sharding: Sharding, read: Callable[[Any], np.ndarray]
) -> jax.Array:
    """Makes a sharded array from the parts that this process's devices hold.

    `read` returns the part at a tuple of slices. It is called once for each different part, and a
    part's host memory is released when the part is on its devices.
    """
    devices_by_part: dict[tuple[tuple[int, int], ...], list[jax.Device]] = {}
    for device, index in sharding.addressable_devices_indices_map(shape).items():
        assert index is not None
        bounds = tuple(part.indices(side)[:2] for part, side in zip(index, shape, strict=True))
        devices_by_part.setdefault(bounds, []).append(device)
    shards = []
    for bounds, devices in devices_by_part.items():
        part = read(tuple(slice(*bound) for bound in bounds))
        shards += [jax.device_put(part, device) for device in devices]
    return jax.make_array_from_single_device_arrays(shape, sharding, shards)


def to_host(array: Any) -> np.ndarray:
    """Gathers a whole array in this process's memory; all processes must call it."""
    whole = not isinstance(array, jax.Array) or array.is_fully_addressable
    if whole or array.is_fully_replicated:
        return np.asarray(array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))
