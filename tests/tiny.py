"""A tiny model with its vocabulary, tasks and text, for tests that train from files to files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from promptscale.config.sizes import ModelConfig

WORDS = ("True", "False", "a", "b", "c", "d")
FIRST_TEXT_ID = 3  # after padding, EOS and the unknown token


def architecture(**changes: int) -> ModelConfig:
    """One layer in each tower; `write_vocabulary` with its sentinels fits into the vocabulary."""
    sizes = {
        "d_model": 16, "d_ff": 32, "num_encoder_layers": 1, "num_decoder_layers": 1, "num_heads": 2,
        "head_dim": 8, "vocab_size": 128,
    }  # fmt: skip
    return ModelConfig(**(sizes | changes))


def write_vocabulary(folder: Path, words: Sequence[str] = WORDS, size: int = 16) -> Path:
    """Trains a SentencePiece model of at most `size` pieces on the words; returns its file."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter([" ".join(words)] * 50), model_prefix=str(folder / "pieces"),
        vocab_size=size, hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        minloglevel=2,
    )  # fmt: skip
    return folder / "pieces.model"


def write_task(folder: Path, draw: np.random.Generator, train: int = 40, dev: int = 20) -> None:
    """Writes both splits of a task whose label is the parity of the sum of the input's ids."""
    from promptscale.data import prepared

    for split, count in (("train", train), ("validation", dev)):
        inputs = [draw.integers(FIRST_TEXT_ID, 15, draw.integers(4, 12)) for _ in range(count)]
        labels = [int(ids.sum()) % 2 for ids in inputs]
        rows = [
            {"id": str(i), "inputs": "a", "targets": ("False", "True")[label], "label": label}
            for i, label in enumerate(labels)
        ]
        targets = [[FIRST_TEXT_ID + label] for label in labels]
        packed = (prepared.Ragged.pack(part) for part in ([i.tolist() for i in inputs], targets))
        prepared.write(folder / split, *packed, rows)


def write_documents(path: Path, draw: np.random.Generator, count: int = 40) -> None:
    """Writes documents of 30 ids for pre-training and LM adaptation."""
    from promptscale.data import prepared
    from promptscale.data.corpus import write_text

    documents = [draw.integers(FIRST_TEXT_ID, 15, 30).tolist() for _ in range(count)]
    write_text(path, prepared.Ragged.pack(documents))


def write_checkpoint(folder: Path, model: ModelConfig, step: int = 1_000_000) -> None:
    """Writes a T5X checkpoint of random parameters, without accumulators."""
    import jax
    import jax.numpy as jnp
    from flax import traverse_util

    from promptscale.checkpoints import t5x
    from promptscale.model import T5

    tokens = jnp.ones((1, 2), jnp.int32)
    params = jax.jit(T5(model).init)(jax.random.key(0), tokens, tokens)["params"]
    flat = traverse_util.flatten_dict(params, sep="/")
    arrays = {name: np.asarray(leaf) for name, leaf in flat.items()}
    t5x.write(folder, t5x.Checkpoint(step, arrays, {}))
