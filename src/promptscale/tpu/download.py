"""Downloads the outputs of a job from the bucket, each completely or not at all."""

from collections.abc import Mapping
from pathlib import Path

from promptscale.storage.atomic import atomic_directory
from promptscale.storage.store import Store
from promptscale.tpu.protocol import Completion
from promptscale.tpu.remote_job import sha256


def download_outputs(
    store: Store, completion: Completion, outputs: Mapping[str, Path]
) -> list[str]:
    """Writes a job's outputs to their final paths, given by their paths in the job.

    Returns the outputs whose hashes differ from those that the host computed; if there are any,
    nothing is written.
    """
    keys = {path: f"jobs/{completion.attempt}/outputs/{path}" for path in completion.files}
    contents = store.read_many(keys.values())
    files = {path: contents[key] or b"" for path, key in keys.items()}
    damaged = [path for path in files if sha256(files[path]) != completion.files[path]]
    if damaged:
        return damaged
    for path, final in outputs.items():
        if path not in completion.folders:
            Store(final.parent).write(final.name, files[path])
            continue
        paths = [file for file in files if file.startswith(f"{path}/")]
        with atomic_directory(final) as folder:
            Store(folder).write_many({p.removeprefix(f"{path}/"): files[p] for p in paths})
    return []
