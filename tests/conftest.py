"""Fixtures shared by all tests: strict JAX, and the folder of real data where there is one."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and recorded numbers; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("PROMPTSCALE_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data" / "MANIFEST.md").exists():
        pytest.skip(f"real test data is not at {folder} (set PROMPTSCALE_SHARED)")
    return folder


@pytest.fixture(autouse=True, scope="session")
def strict_jax() -> None:
    """Silent promotion and silent broadcasting hide most JAX bugs; make both errors."""
    import jax

    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_default_matmul_precision", "highest")
    # Processes that tests start (workflows, hosts of slices) compile more than they compute;
    # this one has read its own settings by now, and measures against the oracles as users run.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
