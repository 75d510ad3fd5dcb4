"""A model from a checkpoint, straight to where its parameters go on the devices."""

from typing import Any

import jax
import jax.numpy as jnp

from promptscale.checkpoints.load import load
from promptscale.checkpoints.t5x import Checkpoint, Index, Stored
from promptscale.config.sizes import ModelConfig
from promptscale.model import parameter_shapes
from promptscale.training.mesh import Devices


def load_model(
    location: str,
    architecture: ModelConfig,
    devices: Devices,
    *,
    activations: str = "float32",
    with_optimizer: bool = False,
) -> Checkpoint:
    """Reads a checkpoint; each process reads no more than the parts that its devices hold.

    Args:
      location: as for `checkpoints.load.load`.
      architecture: the model that it must fit.
      devices: where its parameters go.
      activations: the dtype that parameters are kept in. For a model that is not trained that of
        the activations is as good as float32, as parameters are cast to it at use; the head, which
        is computed in float32, stays float32.
      with_optimizer: whether to read the accumulators too, whole and in float32.
    Returns:
      The checkpoint with JAX arrays as parameters.
    Raises:
      CheckpointError: as for `load`.
    """

    def place(name: str, array: Stored) -> jax.Array:
        dtype = jnp.float32 if name.startswith("decoder/logits_dense") else jnp.dtype(activations)
        known: dict[str, Any] = {}  # devices that hold the same part

        def read(index: Index) -> Any:
            part = known.get(repr(index))
            if part is None:
                part = known[repr(index)] = array.read(index).astype(dtype)
            return part

        sharding = devices.parameter(name, array.shape)
        return jax.make_array_from_callback(array.shape, sharding, read)

    expected = parameter_shapes(architecture)
    return load(location, expected, with_optimizer=with_optimizer, place=place)
