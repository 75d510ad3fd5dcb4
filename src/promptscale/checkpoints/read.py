"""Opens checkpoints of all formats, and reads arrays of models from them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from promptscale.checkpoints import huggingface, t5x
from promptscale.checkpoints.architecture import architecture_of
from promptscale.checkpoints.arrays import LazyArray, finite
from promptscale.checkpoints.fit import EMBEDDING, Shape, check_arrays
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.sizes import ModelConfig
from promptscale.errors import CheckpointError
from promptscale.model import parameter_shapes
from promptscale.storage.location import is_remote, resolve


def open_checkpoint(
    location: str, expected: Mapping[str, Shape], *, with_optimizer: bool = True
) -> Checkpoint:
    """Opens a checkpoint of any format, and compares its arrays with a model's parameters.

    The location is a T5X checkpoint (a folder or a single file, local or `gs://`), or a local
    folder of a Hugging Face model, which has neither a step nor accumulators. `expected` has the
    shape of each parameter by T5X's flat name. All arrays are `LazyArray`, accumulators too.

    Raises:
      CheckpointError: nothing can be read there, or the arrays are not those of the model. Reading
        an array raises it for damage, for NaN and infinity, and beyond the range of float32.
    """
    return _checked(location, _open(location, with_optimizer), expected)


def open_t5(location: str) -> tuple[Checkpoint, ModelConfig]:
    """Opens a checkpoint of any size, without accumulators; also returns its architecture.

    Raises:
      CheckpointError: as `open_checkpoint`, or the checkpoint is not of T5 1.1.
    """
    checkpoint = _open(location, with_optimizer=False)
    architecture = architecture_of(location, checkpoint)
    return _checked(location, checkpoint, parameter_shapes(architecture)), architecture


def check_checkpoint(
    location: str, expected: Mapping[str, Shape], *, with_optimizer: bool = True
) -> None:
    """Opens a checkpoint; a local checkpoint is also read once, array by array.

    The arrays of a checkpoint in a bucket are only checked when they are loaded, so that they are
    not transferred twice.

    Raises:
      CheckpointError: as `open_checkpoint`, and its arrays.
    """
    checkpoint = open_checkpoint(location, expected, with_optimizer=with_optimizer)
    if not is_remote(location):
        for array in [*checkpoint.params.values(), *_accumulators(checkpoint)]:
            array.whole()


def read_embedding(location: str) -> Float[np.ndarray, "V D"]:
    """Reads the token embedding of a checkpoint, in float32.

    Raises:
      CheckpointError: nothing can be read there, or the checkpoint has no embedding.
    """
    params = _open(location, with_optimizer=False).params
    if EMBEDDING not in params:
        raise CheckpointError(f"The checkpoint {location} has no {EMBEDDING}.")
    embedding = finite(f"the array {EMBEDDING} of the checkpoint {location}", params[EMBEDDING])
    return embedding.whole().astype(np.float32, copy=False)


def _open(location: str, with_optimizer: bool) -> Checkpoint:
    location = resolve(location, CheckpointError)
    if not is_remote(location) and huggingface.is_checkpoint(Path(location)):
        return Checkpoint(0, huggingface.open_arrays(Path(location)), {})
    if location.endswith(".safetensors"):
        raise CheckpointError(
            f"{location} is a file of a Hugging Face model; a checkpoint is the folder of such "
            "files (model.safetensors, or its shards and their index)."
        )
    return t5x.open_checkpoint(location, with_optimizer=with_optimizer)


def _checked(location: str, checkpoint: Checkpoint, expected: Mapping[str, Shape]) -> Checkpoint:
    check_arrays(location, checkpoint, expected)
    return checkpoint.map(
        lambda name, array: finite(f"the array {name} of the checkpoint {location}", array)
    )


def _accumulators(checkpoint: Checkpoint) -> list[LazyArray]:
    return [array for slots in checkpoint.optimizer.values() for array in slots.values()]
