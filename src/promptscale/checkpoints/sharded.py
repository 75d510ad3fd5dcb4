"""Loads a model: reads the parameters of a checkpoint into their shards on the devices."""

import logging

import jax
import jax.numpy as jnp
import numpy as np

from promptscale.checkpoints.arrays import Index, LazyArray
from promptscale.checkpoints.read import open_checkpoint
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.sizes import ModelConfig
from promptscale.distributed.mesh import Devices, put_parts
from promptscale.model import parameter_shapes
from promptscale.storage.events import event

log = logging.getLogger(__name__)


def load_model(
    location: str,
    architecture: ModelConfig,
    devices: Devices,
    *,
    activations: str = "float32",
    with_optimizer: bool = False,
    runs: int | None = None,
) -> Checkpoint:
    """Loads a checkpoint of any format; each process reads the parts that its devices hold.

    The parameters become JAX arrays, sharded on `devices`, of the dtype `activations`. While the
    model is frozen the dtype of the activations loses nothing, because parameters are cast to it
    when they are used. The head, which is computed in float32, is always float32. The accumulators
    are read if `with_optimizer`, as whole NumPy arrays in float32. `runs` is the number N of equal
    copies of each parameter along a leading axis, for models that are trained; None for no axis.

    Raises:
      CheckpointError: the checkpoint cannot be read, or its arrays are not those of the model.
    """
    log.info("loading %s", location, extra=event("loading", checkpoint=location))
    copies = () if runs is None else (runs,)
    expected = parameter_shapes(architecture)
    checkpoint = open_checkpoint(location, expected, with_optimizer=with_optimizer)

    def place(name: str, array: LazyArray) -> jax.Array | np.ndarray:
        if name not in checkpoint.params:
            return array.whole().astype(np.float32, copy=False)
        dtype = jnp.float32 if name.startswith("decoder/logits_dense") else jnp.dtype(activations)

        def read(index: Index) -> np.ndarray:
            part = array.read(index[len(copies) :]).astype(dtype, copy=False)
            return np.broadcast_to(part, (*copies, *part.shape))

        sharding = devices.parameter(name, array.shape, runs=runs is not None)
        return put_parts((*copies, *array.shape), sharding, read)

    return checkpoint.map(place)
