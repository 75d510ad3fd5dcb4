"""Files of prompts, and starts of prompts, that must be refused."""

from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np

from promptscale import prompts
from promptscale.config.settings import PromptInitialization
from tests.robustness.case import Case
from tests.robustness.checkpoints import LFS, raw_safetensors, with_value

_ONES = np.ones((5, 6), np.float32)


def _prompt(name: str, content: Any, sentence: str, file: str = "p.npy") -> Case:
    """A prompt file with these bytes or this array, for a run that needs 5 x 6."""

    def write(folder: Path) -> None:
        (folder / file).parent.mkdir(exist_ok=True)
        if isinstance(content, bytes):
            (folder / file).write_bytes(content)
        elif content is not None:
            np.save(folder / file, content)

    def use(folder: Path) -> None:
        prompts.load(folder / file.partition("/")[0], (5, 6))

    return Case(f"prompt: {name}", use, sentence, write)


def _start(name: str, tokens: list[int], sentence: str, **settings: str) -> Case:
    """A prompt that starts from a label or a text whose tokens are these."""

    def use(_: Path) -> None:
        key, embedding = jax.random.key(0), np.ones((33, 6), np.float32)
        initialization = PromptInitialization(**settings)
        prompts.initialize(initialization, key, 5, embedding, ["yes", "no"], lambda _: tokens)

    return Case(f"prompt: {name}", use, sentence)


CASES = [
    _prompt("missing", None, "p.npy is missing"),
    _prompt("empty", b"", "whole .npy file of numbers: it is empty"),
    _prompt("a text", b"0.1 0.2", "not a whole .npy file"),
    _prompt("cut", b"\x93NUMPY\x01\x00v\x00{'descr'", "begins like a NumPy array"),
    _prompt("of objects", np.array([{}], object), "begins like a NumPy array"),
    _prompt("an .npz file", b"PK\x03\x04", "zip archive"),
    _prompt("of PyTorch", b"\x80\x02}q", "Python pickle"),
    _prompt("safetensors", raw_safetensors("F32", 16), "as Hugging Face and PEFT write them"),
    _prompt("a pointer of Git LFS", LFS, "git lfs pull"),
    _prompt("a row", np.ones(6), r"float64 of shape \(6,\)"),
    _prompt("for each run", np.ones((2, 5, 6)), r"of shape \(2, 5, 6\)"),
    _prompt("of integers", np.ones((5, 6), int), "holds int64"),
    _prompt("of complex numbers", np.ones((5, 6), complex), "holds complex128"),
    _prompt("of truth values", np.ones((5, 6), bool), "holds bool"),
    _prompt("of bfloat16", np.ones((5, 6), ml_dtypes.bfloat16), "is a float matrix"),
    _prompt("without rows", np.ones((0, 6)), r"of shape \(0, 6\)"),
    _prompt("longer", np.ones((7, 6)), "is 7 x 6, .*change `prompt_length`"),
    _prompt("of another size", np.ones((5, 8)), "is 5 x 8, .*change `sizes`"),
    _prompt("with NaN", with_value(_ONES, (3, 1), np.nan), "1 of its 5 rows, the first in row 4"),
    _prompt("beyond float32", np.full((5, 6), 1e300), "5 of its 5 rows, the first in row 1"),
    _prompt("a folder", b"", "a folder without a prompt; a prompt is", "p/encoder.prompt"),
    Case("prompt: at s3", lambda _: prompts.load("s3://bucket/p.npy"), "cannot be read"),
    Case(
        "prompt: saved over a folder",
        lambda folder: prompts.save(folder / "p.npy", _ONES),
        "p.npy cannot be written: Is a directory",
        lambda folder: (folder / "p.npy").mkdir(),
    ),
    _start("a label without tokens", [], "'yes' .* has no tokens"),
    _start("a text without tokens", [], "'~' .* has no tokens", method="text", text="~"),
    _start("ids beyond the embedding", [3, 33], "token id 33, but .* has 33 rows"),
]
