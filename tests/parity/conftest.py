"""The recorded cases: those committed here, and all below `PROMPTSCALE_ORACLES` where it exists."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.conftest import SHARED

RECORDED = Path(__file__).with_name("recorded")
ORACLES = Path(os.environ.get("PROMPTSCALE_ORACLES", SHARED / "oracle"))


@pytest.fixture(autouse=True, scope="package")
def fully_optimized() -> Iterator[None]:
    """Compiles as a user's process does: parity is claimed for what users run."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def cases(pattern: str) -> list:
    """One test parameter per recorded case."""
    paths = [path for folder in (RECORDED, ORACLES) for path in sorted(folder.glob(pattern))]
    return [pytest.param(path, id=path.stem) for path in paths]


def assert_close(actual, expected, tolerance: float = 1e-4) -> None:
    """The error's Euclidean norm is at most `tolerance` of the expected array's.

    The norm is of the whole array because Adafactor divides each element by its gradient's size:
    where two gradients of an element nearly vanish, float32's rounding decides that element.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= tolerance * np.linalg.norm(expected)
