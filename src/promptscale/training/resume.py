"""The state that a killed job continues from: one file, replaced whole.

Numbers are kept bit for bit; what else the loop needs is JSON in the same file. The state belongs
to one job specification: a job whose settings changed starts afresh.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from promptscale.errors import CheckpointError
from promptscale.files import replacing


def save(path: Path, tree: Any, progress: Mapping[str, Any], job: str) -> None:
    """Writes the arrays of `tree`, the JSON-able `progress` and the job's specification."""
    leaves = jax.device_get(jax.tree.leaves(tree))
    tensors = {str(index): np.asarray(leaf) for index, leaf in enumerate(leaves)}
    with replacing(path) as partial:
        save_file(tensors, partial, {"progress": json.dumps(progress), "job": job})


def restore(path: Path, like: Any, job: str) -> tuple[Any, dict[str, Any]] | None:
    """The tree (shaped as `like`) and progress saved for this very job; None if there are none.

    Raises:
      CheckpointError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            if metadata["job"] != job:
                return None
            leaves, structure = jax.tree.flatten(like)
            saved = [jnp.asarray(file.get_tensor(str(index))) for index in range(len(leaves))]
    except (OSError, SafetensorError, KeyError) as error:
        raise CheckpointError(
            f"The saved training state {path} is damaged; delete it to start this job afresh."
        ) from error
    return jax.tree.unflatten(structure, saved), json.loads(metadata["progress"])
