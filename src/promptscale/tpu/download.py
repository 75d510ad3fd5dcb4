"""Downloads the outputs of a job from the bucket, each completely or not at all."""

from collections.abc import Mapping
from pathlib import Path

from promptscale.storage.atomic import atomic_directory, atomic_write
from promptscale.storage.store import Store
from promptscale.tpu.protocol import Completion
from promptscale.tpu.remote_job import sha256


def download_outputs(
    store: Store, completion: Completion, outputs: Mapping[str, Path]
) -> list[str]:
    """Writes a job's outputs to their final paths, given by their paths in the job.

    Returns:
      The outputs whose hashes differ from those that the host computed; if there are any, nothing
      is written.
    Raises:
      TpuError: the bucket cannot be read.
    """
    keys = {path: f"jobs/{completion.attempt}/outputs/{path}" for path in completion.files}
    contents = store.read_many(keys.values())
    files = {path: contents[key] or b"" for path, key in keys.items()}
    damaged = [path for path in files if sha256(files[path]) != completion.files[path]]
    if damaged:
        return damaged
    for path, final in outputs.items():
        if path in completion.folders:
            with atomic_directory(final) as folder:
                for inner, content in files.items():
                    if inner.startswith(f"{path}/"):
                        target = folder / inner.removeprefix(f"{path}/")
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(content)
        else:
            with atomic_write(final) as partial:
                partial.write_bytes(files[path])
    return []
