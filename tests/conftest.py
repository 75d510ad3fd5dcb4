"""Fixtures shared by all tests: strict JAX, and the folder of real data where there is one."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests start servers on this machine; a proxy of the user does not lead to them.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, ("127.0.0.1,localhost", os.environ.get(name))))

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PROMPTSCALE_SHARED", REPOSITORY.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data; tests that need it are skipped where it is absent."""
    if not (SHARED / "data" / "MANIFEST.md").exists():
        pytest.skip(f"real test data is not at {SHARED} (set PROMPTSCALE_SHARED)")
    return SHARED


@pytest.fixture(autouse=True, scope="session")
def strict_jax() -> None:
    """Makes silent promotion and silent broadcasting errors, and spares compilation.

    Most tests compile more than they compute. Compiled programs are cached from run to run. The
    environment variable reaches the processes that tests start; tests/parity compiles with all
    optimisations.
    """
    import jax

    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_compilation_cache_dir", str(REPOSITORY / ".pytest_cache" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
