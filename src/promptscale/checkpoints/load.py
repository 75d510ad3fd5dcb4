"""Loading a pre-trained model of any supported form, with every array accounted for."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from promptscale.checkpoints import huggingface, t5x
from promptscale.checkpoints.arrays import LazyArray
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.errors import CheckpointError
from promptscale.storage.atomic import atomic_write

Shape = tuple[int, ...]


Place = Callable[[str, LazyArray], Any]


def load(
    location: str,
    expected: Mapping[str, Shape],
    *,
    with_optimizer: bool = True,
    place: Place | None = None,
) -> Checkpoint:
    """Reads a checkpoint of any form for a model with the parameters `expected`.

    Args:
      location: a T5X checkpoint (a folder or one file, local or `gs://`; see `t5x.read`) or a
        local folder of a Hugging Face model, which has neither step nor accumulators.
      expected: the shape of each of the model's parameters, by T5X's flat name.
      with_optimizer: whether to read the accumulators where there are some.
      place: makes of a parameter what is wanted, reading no more of it than that needs; whole
        float32 arrays if not given.
    Returns:
      The checkpoint, accumulators in float32.
    Raises:
      CheckpointError: nothing readable there; or the arrays are not those of the model, in which
        case the message lists every unknown, missing and misshapen one.
    """
    stored = check(location, expected, with_optimizer=with_optimizer)

    def made(name: str, array: LazyArray) -> Any:
        if place and name in stored.params:
            return place(name, array)
        return array.whole().astype(np.float32, copy=False)

    return stored.map(made)


def check(
    location: str, expected: Mapping[str, Shape], *, with_optimizer: bool = True
) -> Checkpoint:
    """Finds a checkpoint's arrays, as `LazyArray`, and compares them with those of a model.

    Arguments and errors are those of `load`.
    """
    stored = _open(location, with_optimizer)
    problems = list(_params_problems(stored.params, expected))
    problems += _optimizer_problems(stored.optimizer, expected)
    if problems:
        raise CheckpointError(_report(location, problems))
    return stored


def read_embedding(location: str) -> Float[np.ndarray, "V D"]:
    """The embedding alone, in float32.

    Raises:
      CheckpointError: nothing readable there, or it has no embedding.
    """
    params = _open(location, with_optimizer=False).params
    if "token_embedder/embedding" not in params:
        raise CheckpointError(f"The checkpoint {location} has no token_embedder/embedding.")
    return params["token_embedder/embedding"].whole().astype(np.float32, copy=False)


def point_to(location: str, pointer: Path) -> None:
    """Writes the small file that stands for a checkpoint in the workflow."""
    with atomic_write(pointer) as partial:
        partial.write_text(json.dumps({"location": location}) + "\n")


def pointed_to(pointer: str) -> str:
    """Where the checkpoint is that such a file stands for.

    Raises:
      CheckpointError: the file is missing or damaged.
    """
    try:
        return str(json.loads(Path(pointer).read_text())["location"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{pointer} should say where a frozen model is; delete it to have it made anew."
        ) from error


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
                "or model.safetensors (Hugging Face; other files of theirs are not read)."
            )
    return t5x.open_checkpoint(location, with_optimizer=with_optimizer)


def _params_problems(
    params: Mapping[str, LazyArray], expected: Mapping[str, Shape]
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
    optimizer: Mapping[str, Mapping[str, LazyArray]], expected: Mapping[str, Shape]
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
