"""Converts checkpoints between T5X's format and Hugging Face's."""

import threading
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from promptscale.checkpoints import t5x, write_huggingface
from promptscale.checkpoints.arrays import Index, LazyArray, finite
from promptscale.checkpoints.read import open_t5
from promptscale.checkpoints.t5x import Checkpoint

Report = Callable[[int, int], object]


def convert(
    source: str,
    target: Path,
    kind: str,
    dtype: str | None = None,
    report: Report = lambda done, total: None,
) -> None:
    """Writes a checkpoint in another format, array by array.

    T5X's accumulators stay behind, as Hugging Face has none. Hugging Face has no step either, so
    the step of what is written from it is 0.

    Args:
      source: a checkpoint of any format that is read, local or at `gs://`.
      target: the local folder to write; an existing folder is replaced when all is written.
      kind: the format to write, `t5x` or `huggingface`.
      dtype: the dtype of all arrays, such as `bfloat16`; None for the dtypes that are stored.
      report: is called with the bytes read so far and in all, when a part of an array is read.

    Raises:
      CheckpointError: the source cannot be read or is no T5 1.1, a value is NaN or beyond the
        range of `dtype`, or the target cannot be written.
    """
    checkpoint, architecture = open_t5(source)
    total = sum(array.nbytes for array in checkpoint.params.values())
    done, lock = 0, threading.Lock()

    def prepared(name: str, array: LazyArray) -> LazyArray:
        def read(index: Index) -> np.ndarray:
            nonlocal done
            part = array.read(index)
            with lock:
                done += part.nbytes
                report(done, total)
            return part

        reported = LazyArray(array.shape, array.dtype, read)
        if dtype is None:
            return reported
        what = f"the array {name} of the checkpoint {source}"
        return finite(what, reported.astype(jnp.dtype(dtype)))

    params = checkpoint.map(prepared).params
    if kind == "huggingface":
        write_huggingface.write(target, params, architecture)
    else:
        t5x.write(target, Checkpoint(checkpoint.step, params, {}))
