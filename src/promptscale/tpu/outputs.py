"""Results on their way from the bucket to this machine, each whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from promptscale.storage.atomic import atomic_directory, atomic_write
from promptscale.tpu.bucket import Bucket
from promptscale.tpu.remote_job import Done, sha256, within


def bring(bucket: Bucket, done: Done, outputs: Mapping[str, Path]) -> list[str]:
    """Puts a task's outputs under their final names (by their paths in the task).

    Returns:
      Those that are not what the host's hashes say; nothing is put anywhere then.
    Raises:
      TpuError: the bucket does not answer.
    """
    keys = {path: f"tasks/{done.attempt}/outputs/{path}" for path in done.files}
    contents = bucket.read_all(keys.values())
    files = {path: contents[key] or b"" for path, key in keys.items()}
    damaged = [path for path, content in files.items() if sha256(content) != done.files[path]]
    if damaged:
        return damaged
    for path, final in outputs.items():
        if path in done.folders:
            with atomic_directory(final) as folder:
                for inner in within(path, files):
                    target = folder / inner.removeprefix(f"{path}/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(files[inner])
        else:
            with atomic_write(final) as partial:
                partial.write_bytes(files[path])
    return []
