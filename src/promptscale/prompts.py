"""Soft prompts: initialisation (section 3.2), concatenation with the input, files.

Initialisers return float32 [P, D]. Prompts are always float32: at the values that they reach
(|p| ~ 50), the spacing of bfloat16 is of the order of an update.
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
Encode = Callable[[str], Sequence[int]]


def prepend(
    prompts: Float[Array, "B P D"], embedded: Float[Array, "B S D"], mask: Bool[Array, "B S"]
) -> tuple[Float[Array, "B P+S D"], Bool[Array, "B P+S"]]:
    """Puts each example's prompt before its embedded input ([P; X] of section 2), unmasked."""
    visible = jnp.ones(prompts.shape[:2], bool)
    joined = jnp.concatenate([prompts.astype(embedded.dtype), embedded], axis=1)
    return joined, jnp.concatenate([visible, mask], axis=1)


def uniform(
    key: PRNGKeyArray, length: int, d_model: int, low: float, high: float
) -> Float[Array, "P D"]:
    """Independent uniform values; the paper has [-0.5, 0.5], the released code [0, 0.5)."""
    return jax.random.uniform(key, (length, d_model), jnp.float32, low, high)


def sampled_vocabulary(
    key: PRNGKeyArray, length: int, embedding: Float[Matrix, "V D"], population: int
) -> Float[Matrix, "P D"]:
    """Embeddings of tokens drawn from the first `population` ids.

    T5's ids are ordered by frequency, so these are the most common tokens; they include pad, EOS
    and unknown, as in the released code. Tokens repeat only if `length` exceeds the population.
    """
    ids = _draw(key, length, min(population, embedding.shape[0]))
    return embedding[ids].astype(jnp.float32)


@functools.partial(jax.jit, static_argnums=(1, 2))  # without jit: dozens of small programs
def _draw(key: PRNGKeyArray, length: int, population: int) -> Int[Array, " P"]:
    return jax.random.choice(key, population, (length,), replace=length > population)


def class_labels(
    key: PRNGKeyArray,
    length: int,
    embedding: Float[Matrix, "V D"],
    population: int,
    labels: Sequence[str],
    encode: Encode,
) -> Float[Matrix, "P D"]:
    """The mean embedding of each label's pieces in a row, and sampled vocabulary in the other rows.

    Labels beyond `length` are ignored: a prompt of length 1 starts as the first label.
    """
    table = np.asarray(embedding)
    rows = [np.mean(table[encode(label)], axis=0, dtype=np.float32) for label in labels[:length]]
    return _fill(rows, sampled_vocabulary(key, length, embedding, population))


def from_text(
    key: PRNGKeyArray,
    length: int,
    embedding: Float[Matrix, "V D"],
    population: int,
    text: str,
    encode: Encode,
) -> Float[Matrix, "P D"]:
    """The embeddings of the first `length` tokens of `text`, then sampled vocabulary."""
    rows = [np.asarray(embedding[token], np.float32) for token in encode(text)[:length]]
    return _fill(rows, sampled_vocabulary(key, length, embedding, population))


def initialize(
    settings: PromptInitialization,
    key: PRNGKeyArray,
    length: int,
    embedding: Float[Matrix, "V D"],
    labels: Sequence[str],
    encode: Encode,
    file: Path | None = None,
) -> Float[Matrix, "P D"]:
    """Initialises a prompt by `settings.method`; `file` replaces the path `settings.file`.

    Raises:
      CheckpointError: a prompt file is missing, damaged or of another shape.
    """
    population = settings.population
    match settings.method:
        case "random_uniform":
            return uniform(key, length, embedding.shape[1], *settings.uniform_range)
        case "sampled_vocab":
            return sampled_vocabulary(key, length, embedding, population)
        case "class_label":
            return class_labels(key, length, embedding, population, labels, encode)
        case "text":
            return from_text(key, length, embedding, population, settings.text, encode)
        case "file":
            path = file or Path(settings.file)
            return jnp.asarray(load(path, (length, embedding.shape[1])))


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


def _fill(
    rows: Sequence[Float[np.ndarray, " D"]], rest: Float[Matrix, "P D"]
) -> Float[Array, "P D"]:
    filled = np.array(rest)
    for index, row in enumerate(rows):
        filled[index] = row
    return jnp.asarray(filled)
