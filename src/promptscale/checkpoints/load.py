"""Loading a pre-trained model of any supported form, with every array accounted for."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from promptscale.checkpoints import huggingface, t5x
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.errors import CheckpointError

Shape = tuple[int, ...]


def load(
    location: str, expected: Mapping[str, Shape], *, with_optimizer: bool = True
) -> Checkpoint:
    """Reads a checkpoint of any form for a model with the parameters `expected`.

    Args:
      location: a T5X checkpoint (a folder or one file, local or `gs://`; see `t5x.read`) or a
        local folder of a Hugging Face model, which has neither step nor accumulators.
      expected: the shape of each of the model's parameters, by T5X's flat name.
      with_optimizer: whether to read the accumulators where there are some.
    Returns:
      The checkpoint with all arrays in float32.
    Raises:
      CheckpointError: nothing readable there; or the arrays are not those of the model, in which
        case the message lists every unknown, missing and misshapen one.
    """
    checkpoint = _read(location, with_optimizer)
    problems = list(_params_problems(checkpoint.params, expected))
    problems += _optimizer_problems(checkpoint.optimizer, expected)
    if problems:
        raise CheckpointError(_report(location, problems))
    return Checkpoint(
        checkpoint.step,
        _float32(checkpoint.params),
        {name: _float32(slots) for name, slots in checkpoint.optimizer.items()},
    )


def _read(location: str, with_optimizer: bool) -> Checkpoint:
    folder = Path(location)
    if not location.startswith("gs://"):
        if not folder.exists():
            raise CheckpointError(f"There is no checkpoint at {location}: no such file or folder.")
        if huggingface.is_checkpoint(folder):
            return Checkpoint(0, huggingface.read(folder), {})
        if folder.is_dir() and not (folder / "checkpoint").is_file():
            raise CheckpointError(
                f"There is no checkpoint in {location}: it should hold a file `checkpoint` (T5X) "
                "or model.safetensors (Hugging Face; other files of theirs are not read)."
            )
    return t5x.read(location, with_optimizer=with_optimizer)


def _float32(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float32, copy=False) for name, array in arrays.items()}


def _params_problems(
    params: Mapping[str, np.ndarray], expected: Mapping[str, Shape]
) -> Iterator[tuple[str, str]]:
    """Pairs of (kind, line) for each parameter that is not as it should be."""
    for name in expected.keys() - params.keys():
        yield "Missing", f"{name} {expected[name]}"
    for name, array in params.items():
        if name not in expected:
            yield "Unknown", f"{name} {array.shape}"
        elif array.shape != expected[name] or not jnp.issubdtype(array.dtype, jnp.floating):
            is_now = f"is {array.dtype.name} {array.shape}"
            yield "Misshapen", f"{name} {is_now}, should be float {expected[name]}"


def _optimizer_problems(
    optimizer: Mapping[str, Mapping[str, np.ndarray]], expected: Mapping[str, Shape]
) -> Iterator[tuple[str, str]]:
    """The same for the accumulators: none at all, or a set for each parameter."""
    for name in expected.keys() - optimizer.keys() if optimizer else ():
        yield "Missing", f"accumulators of {name}"
    for name, slots in optimizer.items():
        if name not in expected:
            yield "Unknown", f"accumulators of {name}"
            continue
        for slot in t5x.SLOTS:
            allowed = _slot_shapes(slot, expected[name])
            if slot not in slots:
                yield "Missing", f"accumulator {slot} of {name}"
            elif slots[slot].shape not in allowed:
                shapes = " or ".join(map(str, dict.fromkeys(allowed)))
                is_now = f"is {slots[slot].shape}"
                yield "Misshapen", f"accumulator {slot} of {name} {is_now}, should be {shapes}"


def _slot_shapes(slot: str, shape: Shape) -> list[Shape]:
    """Adafactor's: (1,) where unused; else the parameter's, or without its row or column axis."""
    if slot in ("m", "v"):
        return [(1,), shape]
    return [(1,), *(shape[:axis] + shape[axis + 1 :] for axis in range(len(shape)))]


def _report(location: str, problems: list[tuple[str, str]]) -> str:
    lines = [f"The checkpoint {location} does not fit the model."]
    for kind in ("Missing", "Unknown", "Misshapen"):
        group = sorted(line for that_kind, line in problems if that_kind == kind)
        if group:
            lines += [f"{kind} ({len(group)}):", *(f"  {line}" for line in group)]
    return "\n".join(lines)
