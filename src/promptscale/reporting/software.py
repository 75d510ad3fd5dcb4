"""The software that makes results: the revision of this repository, and versions of packages."""

import subprocess
from importlib import metadata
from pathlib import Path

_PACKAGES = ("promptscale", "jax", "flax", "optax", "snakemake")


def versions() -> dict[str, str]:
    """The installed versions of the packages that results depend on most."""
    return {name: metadata.version(name) for name in _PACKAGES}


def revision() -> str | None:
    """The revision of the git repository that this package lies in; None outside a repository."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
