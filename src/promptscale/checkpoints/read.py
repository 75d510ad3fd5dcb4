"""Opens checkpoints of all formats, and compares their arrays with the parameters of a model."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from promptscale.checkpoints import huggingface, t5x
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.errors import CheckpointError

Shape = tuple[int, ...]


def open_checkpoint(
    location: str, expected: Mapping[str, Shape], *, with_optimizer: bool = True
) -> Checkpoint:
    """Opens a checkpoint of any format, and compares its arrays with a model's parameters.

    The location is a T5X checkpoint (a folder or a single file, local or `gs://`), or a local
    folder of a Hugging Face model, which has neither a step nor accumulators. `expected` has the
    shape of each parameter by T5X's flat name. All arrays are `LazyArray`, accumulators too.

    Raises:
      CheckpointError: nothing can be read there, or the arrays are not those of the model. In the
        second case the message lists every unknown, missing and misshapen array.
    """
    checkpoint = _open(location, with_optimizer)
    problems = sorted(_problems(checkpoint, expected))
    lines = [f"The checkpoint {location} does not fit the model."]
    for kind in ("Missing", "Unknown", "Misshapen"):
        if group := [f"  {line}" for problem, line in problems if problem == kind]:
            lines += [f"{kind} ({len(group)}):", *group]
    if problems:
        raise CheckpointError("\n".join(lines))
    return checkpoint


def read_embedding(location: str) -> Float[np.ndarray, "V D"]:
    """Reads the token embedding of a checkpoint, in float32.

    Raises:
      CheckpointError: nothing can be read there, or the checkpoint has no embedding.
    """
    params = _open(location, with_optimizer=False).params
    if "token_embedder/embedding" not in params:
        raise CheckpointError(f"The checkpoint {location} has no token_embedder/embedding.")
    return params["token_embedder/embedding"].whole().astype(np.float32, copy=False)


def _open(location: str, with_optimizer: bool) -> Checkpoint:
    folder = Path(location)
    if not location.startswith("gs://"):
        if not folder.exists():
            raise CheckpointError(f"There is no checkpoint at {location}: no such file or folder.")
        if huggingface.is_checkpoint(folder):
            return Checkpoint(0, huggingface.open_arrays(folder), {})
        if folder.is_dir() and not (folder / "checkpoint").is_file():
            raise CheckpointError(
                f"There is no checkpoint in {location}: it should hold a file `checkpoint` (T5X) "
                "or model.safetensors (Hugging Face; its other formats are not read)."
            )
    return t5x.open_checkpoint(location, with_optimizer=with_optimizer)


def _problems(checkpoint: Checkpoint, expected: Mapping[str, Shape]) -> Iterator[tuple[str, str]]:
    """Pairs (kind, line) for arrays that do not fit; a checkpoint has all accumulators or none."""
    params, optimizer = checkpoint.params, checkpoint.optimizer
    for name in expected.keys() - params.keys():
        yield "Missing", f"{name} {expected[name]}"
    for name in params.keys() - expected.keys():
        yield "Unknown", f"{name} {params[name].shape}"
    for name in params.keys() & expected.keys():
        array, shape = params[name], expected[name]
        if array.shape != shape or not jnp.issubdtype(array.dtype, jnp.floating):
            actual = f"{array.dtype.name} {array.shape}"
            yield "Misshapen", f"{name} is {actual}, should be float {shape}"
    for name in expected.keys() - optimizer.keys() if optimizer else ():
        yield "Missing", f"accumulators of {name}"
    for name in optimizer.keys() - expected.keys():
        yield "Unknown", f"accumulators of {name}"
    for name, slot in itertools.product(optimizer.keys() & expected.keys(), t5x.SLOTS):
        allowed, line = _slot_shapes(slot, expected[name]), f"accumulator {slot} of {name}"
        if slot not in optimizer[name]:
            yield "Missing", line
        elif optimizer[name][slot].shape not in allowed:
            shapes = " or ".join(map(str, dict.fromkeys(allowed)))
            yield "Misshapen", f"{line} is {optimizer[name][slot].shape}, should be {shapes}"


def _slot_shapes(slot: str, shape: Shape) -> list[Shape]:
    """Possible shapes of an accumulator: (1,) if unused; v_row and v_col lack one of the axes."""
    if slot in ("m", "v"):
        return [(1,), shape]
    return [(1,), *(shape[:axis] + shape[axis + 1 :] for axis in range(len(shape)))]
