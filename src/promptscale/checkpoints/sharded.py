"""A model from a checkpoint, straight to where its parameters go on the devices."""

import jax
import jax.numpy as jnp
import numpy as np

from promptscale.checkpoints.arrays import Index, LazyArray
from promptscale.checkpoints.load import load
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.sizes import ModelConfig
from promptscale.distributed.mesh import Devices, put_parts
from promptscale.model import parameter_shapes


def load_model(
    location: str,
    architecture: ModelConfig,
    devices: Devices,
    *,
    activations: str = "float32",
    with_optimizer: bool = False,
    runs: int | None = None,
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
      runs: for models that are trained: so many equal copies along a leading axis.
    Returns:
      The checkpoint with JAX arrays as parameters.
    Raises:
      CheckpointError: as for `load`.
    """
    copies = () if runs is None else (runs,)

    def place(name: str, array: LazyArray) -> jax.Array:
        dtype = jnp.float32 if name.startswith("decoder/logits_dense") else jnp.dtype(activations)

        def read(index: Index) -> np.ndarray:
            part = array.read(index[len(copies) :]).astype(dtype)
            return np.broadcast_to(part, (*copies, *part.shape))

        sharding = devices.parameter(name, array.shape, runs=runs is not None)
        return put_parts((*copies, *array.shape), sharding, read)

    expected = parameter_shapes(architecture)
    return load(location, expected, with_optimizer=with_optimizer, place=place)
