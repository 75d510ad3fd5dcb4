"""Whether the arrays of a checkpoint, and a vocabulary, fit a model."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import jax.numpy as jnp

from promptscale.checkpoints import recognize, t5x
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.sizes import ModelConfig
from promptscale.errors import CheckpointError, shortened

Shape = tuple[int, ...]

EMBEDDING = "token_embedder/embedding"
_HEAD = "decoder/logits_dense/kernel"
_MT5_ROWS = 250_000  # mT5's embedding has 250,112 rows; T5's has 32,128


def check_arrays(location: str, checkpoint: Checkpoint, expected: Mapping[str, Shape]) -> None:
    """Compares a checkpoint's arrays with the shapes of a model's parameters by T5X's flat name.

    Raises:
      CheckpointError: an array is unknown, missing, of another shape or not of floats. The message
        counts such arrays, names the first, and says what the checkpoint is if its names show it.
    """
    problems = sorted(_problems(checkpoint, expected))
    if not problems:
        return
    what = f"{clause}; " if (clause := _describe(checkpoint, expected)) else ""
    counts = []
    for kind in ("missing", "unknown", "of another shape or type"):
        if group := [line for problem, line in problems if problem == kind]:
            verb = "is" if len(group) == 1 else "are"
            counts.append(f"{len(group)} {verb} {kind} ({shortened(group)})")
    raise CheckpointError(
        f"The checkpoint {location} does not fit the model: {what}of its arrays "
        f"{', '.join(counts)}."
    )


def check_vocabulary(path: Path, size: int, architecture: ModelConfig) -> None:
    """Compares the number of ids of a vocabulary file, extra ids included, with the embedding.

    Raises:
      CheckpointError: the vocabulary has more ids than the embedding has rows, for which the model
        would compute NaN.
    """
    if size > architecture.vocab_size:
        raise CheckpointError(
            f"The vocabulary {path} has {size} ids with its extra ids, but the model's embedding "
            f"has {architecture.vocab_size} rows (vocab_size); they belong to different models."
        )


def _describe(checkpoint: Checkpoint, expected: Mapping[str, Shape]) -> str:
    """What the checkpoint is, as a clause; empty if nothing shows it."""
    params = checkpoint.params
    if clause := recognize.describe_arrays(params):
        return clause
    if not params.keys() & expected.keys():
        return "it has no array of T5 1.1"
    if _HEAD in expected.keys() - params.keys():
        return "it has no head (decoder/logits_dense), as T5 1.0, and the model is T5 1.1"
    if EMBEDDING not in params or len(params[EMBEDDING].shape) != 2:
        return ""
    rows, width = params[EMBEDDING].shape
    if rows >= _MT5_ROWS:
        return f"its vocabulary of {rows} ids is mT5's"
    if width == expected[EMBEDDING][1] and rows != expected[EMBEDDING][0]:
        return f"its `vocab_size` is {rows}; give it so in an entry of `architectures`"
    if width != expected[EMBEDDING][1]:
        return f"its d_model is {width}, so it is of another size"
    return ""


def _problems(checkpoint: Checkpoint, expected: Mapping[str, Shape]) -> Iterator[tuple[str, str]]:
    """Pairs (kind, line) for arrays that do not fit; a checkpoint has all accumulators or none."""
    params, optimizer = checkpoint.params, checkpoint.optimizer
    for name in expected.keys() - params.keys():
        yield "missing", name
    for name in params.keys() - expected.keys():
        yield "unknown", name
    for name in params.keys() & expected.keys():
        array, shape = params[name], expected[name]
        if array.shape != shape or not jnp.issubdtype(array.dtype, jnp.floating):
            actual = f"{array.dtype.name} {array.shape}"
            yield "of another shape or type", f"{name} is {actual}, should be float {shape}"
    for name in expected.keys() - optimizer.keys() if optimizer else ():
        yield "missing", f"accumulators of {name}"
    for name in optimizer.keys() - expected.keys():
        yield "unknown", f"accumulators of {name}"
    for name, slot in itertools.product(optimizer.keys() & expected.keys(), t5x.SLOTS):
        allowed, line = _slot_shapes(slot, expected[name]), f"accumulator {slot} of {name}"
        if slot not in optimizer[name]:
            yield "missing", line
        elif optimizer[name][slot].shape not in allowed:
            shapes = " or ".join(map(str, dict.fromkeys(allowed)))
            yield (
                "of another shape or type",
                f"{line} is {optimizer[name][slot].shape}, should be {shapes}",
            )


def _slot_shapes(slot: str, shape: Shape) -> list[Shape]:
    """Possible shapes of an accumulator: (1,) if unused; v_row and v_col lack one of the axes."""
    if slot in ("m", "v"):
        return [(1,), shape]
    return [(1,), *(shape[:axis] + shape[axis + 1 :] for axis in range(len(shape)))]
