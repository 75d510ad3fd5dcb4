"""Cuts a recorded case of the authors' code to a size that a repository can hold.

    python cut_t5x.py CASE.npz CUT.npz

What is cut is the vocabulary: README.md says how, and what that does to the numbers.
"""

import json
import sys
from pathlib import Path

import numpy as np

EVERY = 256  # an evenly spaced sample of the vocabulary
STEPS = 8191  # the head's largest value, in steps
LEFT_OUT = ("beam", "score", "decoder_input_tokens", "loss_weights", "final", "no_weights",
            "z_loss_sum", "bf16/logits")  # fmt: skip


def cut(source: Path, target: Path) -> None:
    """Writes the cut arrays, and the case's description beside them."""
    arrays = {
        name: array for name, array in np.load(source).items()
        if not any(part in name for part in LEFT_OUT)
    }  # fmt: skip
    embedding = arrays.pop("param/token_embedder/embedding")
    head = arrays.pop("param/decoder/logits_dense/kernel")
    tokens = [array.ravel() for name, array in arrays.items()
              if name.startswith("in/") or name.endswith(("_sample", "_predict"))]  # fmt: skip
    ids = np.unique(np.concatenate([*tokens, np.arange(0, len(embedding), EVERY)]))
    step = np.float32(np.abs(head).max() / STEPS)
    steps = np.rint(head / step).astype(np.int32) + STEPS
    arrays |= {
        "vocabulary/ids": ids.astype(np.int32),
        "vocabulary/embedding": embedding[ids],
        "vocabulary/head": head[:, ids],
        "vocabulary/head_steps": np.stack(np.divmod(steps, 256)).astype(np.uint8),
        "vocabulary/head_step": step,
    }
    for mode in ("plain", "prompted"):
        arrays[f"{mode}/logits"] = arrays[f"{mode}/logits"][..., ids]
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, **arrays)
    about = json.loads(source.with_suffix(".json").read_text())
    about = {name: value for name, value in about.items() if name not in _LISTS}
    about |= {"name": target.stem, "head_offset": STEPS}
    target.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")


_LISTS = ("arrays", "param_tree_prompted")  # of names and shapes, which the arrays show

if __name__ == "__main__":
    cut(*map(Path, sys.argv[1:]))
