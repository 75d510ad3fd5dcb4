"""Micro-batches for tests, from the batches of all runs."""

import numpy as np

from promptscale.data.microbatches import Rows


def micro_batches(inputs, targets, *, shared=True, size=None) -> list[Rows]:
    """The rows of `inputs` [N, B, S] and `targets` [N, B, T], `size` at a time.

    All rows of all runs, or with `shared=False` those of each run, pass together by default.
    """
    runs, batch = inputs.shape[:2]
    rows = Rows(
        inputs.reshape(runs * batch, -1),
        targets.reshape(runs * batch, -1),
        np.repeat(np.arange(runs, dtype=np.int32), batch),
        np.tile(np.arange(batch, dtype=np.int32), runs),
    )
    size = size or (runs * batch if shared else batch)
    edges = range(size, runs * batch, size)
    return [Rows(*part) for part in zip(*(np.split(side, edges) for side in rows), strict=True)]
