"""Soft prompts: initialisation (section 3.2), concatenation with the input, files.

Prompts are always float32 [P, D]: at the values that they reach (|p| ~ 50), the spacing of bfloat16
is of the order of an update.
Letters: B batch, P prompt length, S input positions, D d_model, V vocabulary rows.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from promptscale.config.settings import PromptInitialization
from promptscale.errors import CheckpointError
from promptscale.storage.atomic import atomic_write

Matrix = Array | np.ndarray


def prepend(
    prompts: Float[Array, "B P D"], embedded: Float[Array, "B S D"], mask: Bool[Array, "B S"]
) -> tuple[Float[Array, "B P+S D"], Bool[Array, "B P+S"]]:
    """Puts each example's prompt before its embedded input ([P; X] of section 2), unmasked."""
    visible = jnp.ones(prompts.shape[:2], bool)
    joined = jnp.concatenate([prompts.astype(embedded.dtype), embedded], axis=1)
    return joined, jnp.concatenate([visible, mask], axis=1)


def initialize(
    settings: PromptInitialization,
    key: PRNGKeyArray,
    length: int,
    embedding: Float[Matrix, "V D"],
    labels: Sequence[str],
    encode: Callable[[str], Sequence[int]],
    file: Path | None = None,
) -> Float[Matrix, "P D"]:
    """Initialises a prompt by `settings.method`; `file` replaces the path `settings.file`.

    Class labels give a row each, the mean embedding of the label's pieces; a text gives a row for
    each token. What exceeds `length` is ignored, and sampled vocabulary fills the other rows.

    Raises:
      CheckpointError: a prompt file is missing, damaged or of another shape.
    """
    shape = (length, embedding.shape[1])
    match settings.method:
        case "random_uniform":
            return jax.random.uniform(key, shape, jnp.float32, *settings.uniform_range)
        case "file":
            return jnp.asarray(load(file or Path(settings.file), shape))
        case "class_label":
            pieces = [encode(label) for label in labels[:length]]
        case "text":
            pieces = [[token] for token in encode(settings.text)[:length]]
        case "sampled_vocab":
            pieces = []
    # T5's ids are ordered by frequency, so the first ids are the most common tokens; they include
    # pad, EOS and unknown, as in the released code.
    ids = _draw(key, length, min(settings.population, embedding.shape[0]))
    prompt = np.array(embedding[ids], np.float32)
    table = np.asarray(embedding)
    for row, tokens in zip(prompt, pieces, strict=False):
        row[:] = np.mean(table[tokens], axis=0, dtype=np.float32)
    return jnp.asarray(prompt)


@functools.partial(jax.jit, static_argnums=(1, 2))  # without jit: dozens of small programs
def _draw(key: PRNGKeyArray, length: int, population: int) -> Int[Array, " P"]:
    """Ids below `population`; they repeat only if `length` exceeds it."""
    return jax.random.choice(key, population, (length,), replace=length > population)


def load(path: Path, shape: tuple[int, int] | None = None) -> Float[np.ndarray, "P D"]:
    """Reads a prompt from a `.npy` file, the format of the authors' published prompts.

    Raises:
      CheckpointError: the file is missing, is not a float matrix, or does not have `shape`.
    """
    try:
        prompt = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        what = "is not a .npy file of numbers" if path.exists() else "is missing"
        raise CheckpointError(f"The prompt file {path} {what}.") from error
    if prompt.ndim != 2 or not np.issubdtype(prompt.dtype, np.floating):
        raise CheckpointError(
            f"{path} holds {prompt.dtype} of shape {prompt.shape}; "
            "a prompt is a float matrix of prompt length x d_model."
        )
    if shape is not None and prompt.shape != shape:
        raise CheckpointError(
            f"The prompt in {path} is {prompt.shape[0]} x {prompt.shape[1]}, "
            f"but this run needs {shape[0]} x {shape[1]} (prompt length x d_model)."
        )
    return prompt.astype(np.float32)


def save(path: Path, prompt: Float[np.ndarray, "P D"]) -> None:
    """Writes a prompt as a float32 `.npy` file, the format of the authors' published prompts."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.save(file, np.asarray(prompt, np.float32), allow_pickle=False)
