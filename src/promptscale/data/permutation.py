"""A random permutation of N items with access to any position, without a table of N entries.

A balanced Feistel network permutes the next power of four. It is applied again to values that are
not below N, until they are (cycle walking). Keys depend on the seed and the epoch.
"""

import numpy as np
from jaxtyping import Int

_ROUNDS = 6
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of SplitMix64
_STEP = np.uint64(0x9E3779B97F4A7C15)


def _hash(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: 64 well-mixed bits of each value."""
    values = values + _STEP
    values = (values ^ (values >> np.uint64(30))) * _MIX[0]
    values = (values ^ (values >> np.uint64(27))) * _MIX[1]
    return values ^ (values >> np.uint64(31))


def permute(
    positions: Int[np.ndarray, " B"], epochs: Int[np.ndarray, " B"], size: int, seed: int
) -> Int[np.ndarray, " B"]:
    """The items at positions (0 to `size - 1`) of the random orders of `range(size)`.

    Each position has its epoch, and every epoch a different order; `seed` is that of all orders.
    """
    half = np.uint64(max((size - 1).bit_length() + 1, 2) // 2)
    low = np.uint64((1 << int(half)) - 1)
    keys = _hash(_hash(np.full(len(epochs), seed, np.uint64)) + epochs.astype(np.uint64))
    round_keys = _hash(keys + np.arange(_ROUNDS, dtype=np.uint64)[:, None])
    values = positions.astype(np.uint64)
    walking = np.ones(len(values), bool)
    while walking.any():
        left, right = values[walking] >> half, values[walking] & low
        for key in round_keys[:, walking]:
            left, right = right, left ^ (_hash(right + key) & low)
        values[walking] = (left << half) | right
        walking = values >= size
    return values.astype(np.int64)
