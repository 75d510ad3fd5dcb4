"""A tiny model with the files of a user's own task, for tests of the library and the commands."""

from pathlib import Path

import numpy as np

from promptscale.checkpoints import t5x
from tests import tiny
from tests.checkpoints import synthetic_checkpoints as synthetic

WORDS = ("positive", "negative", "good", "bad", "film", "play", "is", "a")
MODEL = tiny.architecture(vocab_size=192)
# Options of commands and of the library: small, and without chance.
TINY = {"steps": 6, "evaluate_every": 2, "batch_size": 4, "prompt_length": 3, "dropout_rate": 0.0}


def _louder(name: str, array: np.ndarray) -> np.ndarray:
    """What the decoder reads from the encoder outweighs all else, so the prompt decides."""
    return 30 * array if "encoder_decoder_attention/out" in name else array


def write_model(folder: Path) -> None:
    """Writes `folder/t5_small` and `folder/spiece.model`, untrained and tiny."""
    tiny.write_vocabulary(folder, WORDS, 48).rename(folder / "spiece.model")
    tiny.write_checkpoint(folder / "untrained", MODEL)
    t5x.write(folder / "t5_small", synthetic.read(folder / "untrained").map(_louder))


def reviews(count: int = 24) -> list[tuple[str, str]]:
    """Different inputs with a target of two labels."""
    kinds = [("good", "positive"), ("bad", "negative")]
    return [(f"a {['film', 'play'][n // 2 % 2]} is {kinds[n % 2][0]}" + " a" * (n // 4),
             kinds[n % 2][1]) for n in range(count)]  # fmt: skip


def write_reviews(path: Path, pairs: list[tuple[str, str]] | None = None) -> None:
    """Writes a CSV with the columns input and target."""
    lines = ["input,target", *(",".join(pair) for pair in pairs or reviews())]
    path.write_text("\n".join(lines) + "\n")
