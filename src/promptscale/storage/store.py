"""Files on the local disk or in Google Cloud Storage, read and written through TensorStore."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorstore as ts

from promptscale.errors import CheckpointError, PromptscaleError
from promptscale.storage.atomic import atomic_write

# A bucket that does not answer is asked again, ever more slowly: for up to a minute where a person
# waits. A host of a slice is told to be more patient, as it holds what an outage would cost.
_RETRIES = int(os.environ.get("PROMPTSCALE_BUCKET_RETRIES", "5"))
CONTEXT = ts.Context({"gcs_request_retries": {"max_retries": _RETRIES}})


def kvstore(folder: str, path: str = "") -> dict[str, str]:
    """The spec of a place below a folder, local or `gs://`."""
    if folder.startswith("gs://"):
        bucket, _, prefix = folder.removeprefix("gs://").partition("/")
        return {"driver": "gcs", "bucket": bucket, "path": f"{prefix}/{path}".lstrip("/")}
    return {"driver": "file", "path": f"{Path(folder).resolve()}/{path}"}


def read_bytes(folder: str, file: str) -> bytes | None:
    """The content of a file in a folder; None where there is no such file.

    Raises:
      CheckpointError: it cannot be read.
    """
    if not folder.startswith("gs://") and not Path(folder, file).is_file():
        return None
    with clear_errors(f"The file {folder}/{file} cannot be read"):
        store = ts.KvStore.open(kvstore(folder), context=CONTEXT).result()
        content = store.read(file).result()
    return content.value if content.state == "value" else None


def write_bytes(location: str, content: bytes) -> None:
    """Writes one file whole: nobody sees a part of it under this name.

    Raises:
      CheckpointError: it cannot be written, as on a full disk.
    """
    folder, _, file = location.rpartition("/")
    with clear_errors(f"The file {location} cannot be written"):
        if not location.startswith("gs://"):
            with atomic_write(Path(location)) as partial:
                partial.write_bytes(content)
            return
        store = ts.KvStore.open(kvstore(folder), context=CONTEXT).result()
        store.write(file, content).result()


def delete(location: str) -> None:
    """Removes one file; one that is not there is as good."""
    if not location.startswith("gs://"):
        Path(location).unlink(missing_ok=True)
        return
    folder, _, file = location.rpartition("/")
    with clear_errors(f"The file {location} cannot be deleted"):
        ts.KvStore.open(kvstore(folder), context=CONTEXT).result().write(file, None).result()


def delete_folder(location: str) -> None:
    """Removes a folder with all that is in it; one that is not there is as good."""
    with clear_errors(f"The folder {location} cannot be deleted"):
        if location.startswith("gs://"):
            store = ts.KvStore.open(kvstore(location), context=CONTEXT).result()
            store.delete_range(ts.KvStore.KeyRange()).result()
        elif Path(location).exists():
            shutil.rmtree(location)


def folders(location: str) -> set[str]:
    """The names of the folders in a folder."""
    with clear_errors(f"The folder {location} cannot be read"):
        store = ts.KvStore.open(kvstore(location), context=CONTEXT).result()
        keys = [key.decode() for key in store.list().result()]
    return {key.split("/")[0] for key in keys if "/" in key}


def fetch(location: str, path: Path) -> None:
    """Copies one file to the local disk.

    Raises:
      CheckpointError: there is no such file, or it cannot be read.
    """
    folder, _, file = location.rpartition("/")
    content = read_bytes(folder, file)
    if content is None:
        raise CheckpointError(f"There is no file {location}.")
    with atomic_write(path) as partial:
        partial.write_bytes(content)


@contextlib.contextmanager
def clear_errors(what: str, kind: type[PromptscaleError] = CheckpointError) -> Iterator[None]:
    """Puts `what` before TensorStore's own words, which name the file but also the whole spec."""
    try:
        yield
    except (ValueError, OSError) as error:
        gist = str(error).partition(" [tensorstore_spec=")[0].rstrip(".")
        raise kind(f"{what}: {gist}.") from error
