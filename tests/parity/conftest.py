"""The recorded cases: every one found below `PROMPTSCALE_ORACLES` is run."""

import os
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ORACLES = Path(os.environ.get("PROMPTSCALE_ORACLES", REPOSITORY.parent / "shared" / "oracle"))


def cases(pattern: str) -> list:
    """One test parameter per recorded case; a single skipped one where there are none."""
    found = sorted(ORACLES.glob(pattern))
    if not found:
        reason = f"no case {pattern} below {ORACLES} (set PROMPTSCALE_ORACLES)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(path, id=path.stem) for path in found]


def assert_close(actual, expected, tolerance: float = 1e-4) -> None:
    """The error's Euclidean norm is at most `tolerance` of the expected array's.

    Not element by element: Adafactor divides each element by its own gradient's size, so where
    two gradients of an element nearly vanish, float32 noise decides that element's update.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= tolerance * np.linalg.norm(expected)
