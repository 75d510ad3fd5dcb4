"""Soft prompts: initialisation (section 3.2), concatenation with the input, files.

Prompts are always float32 [P, D]: at the values that they reach (|p| ~ 50), the spacing of bfloat16
is of the order of an update.
Letters: B batch, P prompt length, S input positions, D d_model, V vocabulary rows.
"""

import functools
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from tokenize import TokenError

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from promptscale import adapters
from promptscale.config.settings import PromptInitialization
from promptscale.errors import CheckpointError
from promptscale.storage.atomic import atomic_directory, atomic_write
from promptscale.storage.contents import describe_content
from promptscale.storage.location import is_remote, resolve
from promptscale.storage.store import Store, open_parent

FILE = "prompt.npy"  # the prompt in a folder of `promptscale tune`
# T5X exports the prompt of a run to numpy_checkpoints/checkpoint_STEP/encoder.prompt.prompt.prompt.
T5X_FOLDER, T5X_FILE = "numpy_checkpoints", "encoder.prompt.prompt.prompt"

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
      CheckpointError: a prompt file is missing, damaged or of another shape; a label or the text
        has no tokens, or tokens beyond the embedding.
    """
    shape = (length, embedding.shape[1])
    match settings.method:
        case "random_uniform":
            return jax.random.uniform(key, shape, jnp.float32, *settings.uniform_range)
        case "file":
            return jnp.asarray(load(file or settings.file, shape))
        case "class_label":
            pieces = [_encode(label, encode, embedding) for label in labels[:length]]
        case "text":
            tokens = _encode(settings.text, encode, embedding)
            pieces = [[token] for token in tokens[:length]]
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


def _encode(
    text: str, encode: Callable[[str], Sequence[int]], embedding: Float[Matrix, "V D"]
) -> list[int]:
    """The token ids of a text that a prompt starts from; CheckpointError if it has no rows."""
    tokens = list(encode(text))
    if not tokens:
        raise CheckpointError(
            f"The text {text!r} that a prompt should start from has no tokens in the vocabulary."
        )
    if max(tokens) >= len(embedding):
        raise CheckpointError(
            f"The text {text!r} that a prompt should start from has the token id {max(tokens)}, "
            f"but the checkpoint's embedding has {len(embedding)} rows; the vocabulary belongs to "
            "another model."
        )
    return tokens


@functools.partial(jax.jit, static_argnums=(1, 2))  # without jit: dozens of small programs
def _draw(key: PRNGKeyArray, length: int, population: int) -> Int[Array, " P"]:
    """Ids below `population`; they repeat only if `length` exceeds it."""
    return jax.random.choice(key, population, (length,), replace=length > population)


def load(location: str | Path, shape: tuple[int, int] | None = None) -> Float[np.ndarray, "P D"]:
    """Reads a prompt in any format that prompts come in, as float32.

    Args:
      location: a `.npy` file, the format of the authors' published prompts; or a folder: with
        prompt.npy, an adapter of PEFT, or T5X's export of a run, whose latest step is read. It is
        local or at `gs://`.
      shape: the prompt length and d_model that the prompt must have.

    Raises:
      CheckpointError: the prompt is missing or damaged, is not a matrix of finite floats, or does
        not have `shape`.
    """
    prompt = _read(str(location))
    if prompt.ndim != 2 or not np.issubdtype(prompt.dtype, np.floating) or 0 in prompt.shape:
        raise CheckpointError(
            f"{location} holds {prompt.dtype} of shape {prompt.shape}; "
            "a prompt is a float matrix of prompt length x d_model."
        )
    with np.errstate(over="ignore"):
        prompt = prompt.astype(np.float32)
    if shape is not None and prompt.shape != shape:
        key = "prompt_length" if prompt.shape[1] == shape[1] else "sizes"
        raise CheckpointError(
            f"The prompt in {location} is {prompt.shape[0]} x {prompt.shape[1]}, but this run "
            f"needs {shape[0]} x {shape[1]} (prompt length x d_model); change `{key}` or the file."
        )
    finite = np.isfinite(prompt).all(axis=1)
    if not finite.all():
        raise CheckpointError(
            f"The prompt in {location} has NaN, infinity or values beyond float32 in "
            f"{np.count_nonzero(~finite)} of its {len(prompt)} rows, the first in row "
            f"{int(np.argmin(finite)) + 1}."
        )
    return prompt


def check_width(location: str | Path, prompt: Float[Matrix, "P D"], d_model: int) -> None:
    """Raises CheckpointError if a model of this d_model cannot use the prompt at `location`."""
    if prompt.shape[1] != d_model:
        raise CheckpointError(
            f"The prompt in {location} is {prompt.shape[0]} x {prompt.shape[1]} (prompt length x "
            f"d_model), but the model's d_model is {d_model}; the prompt is of another size."
        )


def is_prompt(location: str) -> bool:
    """Whether there is a prompt at a location, perhaps damaged, rather than a checkpoint."""
    if _export(location):
        return True
    folder, name = open_parent(location, CheckpointError)
    return (folder.read(name) or b"").startswith(b"\x93NUMPY")


def _read(location: str) -> np.ndarray:
    """Reads the array of a prompt file or folder; CheckpointError if it is anything else."""
    folder, name = open_parent(location, CheckpointError)
    content = folder.read(name)
    if content is None and (export := _export(location)):
        folder, name = export
        if name == adapters.CONFIG:
            return adapters.read(folder)
        content = folder.read(name)
    if content is None and not is_remote(location) and Path(resolve(location)).is_dir():
        raise CheckpointError(
            f"{location} is a folder without a prompt; a prompt is a .npy file, or a folder with "
            f"{FILE}, an adapter of PEFT ({adapters.CONFIG}) or T5X's {T5X_FOLDER}."
        )
    if content is None:
        raise CheckpointError(f"The prompt file {location} is missing.")
    try:
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    # The errors of NumPy's parser for damaged headers.
    except (ValueError, TypeError, SyntaxError, TokenError, EOFError, MemoryError) as error:
        raise CheckpointError(
            f"The prompt file {location} is not a whole .npy file of numbers: "
            f"{describe_content(content)}."
        ) from error


def _export(location: str) -> tuple[Store, str] | None:
    """The folder and the name of the file that shows which kind of prompt a folder holds.

    None if the location is no folder, or a folder without a prompt.
    """
    folder = Store(location, CheckpointError)
    if not is_remote(folder.location) and not Path(folder.location).is_dir():
        return None
    names = folder.names()
    if T5X_FOLDER in names:
        folder = Store(f"{folder.location}/{T5X_FOLDER}", CheckpointError)
        names = folder.names()
    steps = [int(match[1]) for name in names if (match := re.fullmatch(r"checkpoint_(\d+)", name))]
    if steps:
        latest = Store(f"{folder.location}/checkpoint_{max(steps)}", CheckpointError)
        return (latest, T5X_FILE) if latest.read(T5X_FILE) is not None else None
    known = [name for name in (FILE, adapters.CONFIG, T5X_FILE) if name in names]
    return (folder, known[0]) if known else None


def save(path: Path, prompt: Float[np.ndarray, "P D"]) -> None:
    """Writes a prompt as a float32 `.npy` file, the format of the authors' published prompts."""
    with atomic_write(path, CheckpointError) as partial, partial.open("wb") as file:
        np.save(file, np.asarray(prompt, np.float32), allow_pickle=False)


def save_as_t5x(folder: Path, prompt: Float[np.ndarray, "P D"], step: int) -> None:
    """Writes a prompt as T5X's export of a run, in a folder that is replaced atomically."""
    with atomic_directory(folder, CheckpointError) as partial:
        save(partial / T5X_FOLDER / f"checkpoint_{step}" / T5X_FILE, prompt)
