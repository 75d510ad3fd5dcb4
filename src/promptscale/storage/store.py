"""Files in a local folder or in a Google Cloud Storage bucket, through TensorStore's KvStore."""

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import tensorstore as ts

from promptscale.errors import PromptscaleError, StorageError
from promptscale.storage.atomic import atomic_write
from promptscale.storage.location import is_remote, resolve
from promptscale.storage.reasons import named_errors

# TensorStore repeats a request that fails, after 1, 2, 4, ... up to 32 s. Five retries take up to
# half a minute; the hosts of TPU slices set a larger number, as a failure costs them more.
_RETRIES = int(os.environ.get("PROMPTSCALE_BUCKET_RETRIES", "5"))
CONTEXT = ts.Context({"gcs_request_retries": {"max_retries": _RETRIES}})


class Store:
    """The files below `location`, which is a local folder or `gs://bucket/prefix`.

    A key is a path relative to `location`. Writes are atomic: a reader sees the old file or the new
    file. A failing method raises `error`, whose message names the file. Each caller passes the
    error class of what it stores there (CheckpointError, DataError, TpuError); StorageError is the
    class for files of any other kind.
    """

    def __init__(self, location: str | Path, error: type[PromptscaleError] = StorageError) -> None:
        """Opens the store without a request; the folder may be missing."""
        self.location = resolve(str(location), error)
        # TensorStore refuses paths with `..`.
        path = None if is_remote(self.location) else os.path.realpath(self.location)
        self._folder = None if path is None else Path(path)
        self._error = error
        with self._naming("", "opened"):
            self._kvstore = ts.KvStore.open(self.spec(), context=CONTEXT).result()

    def spec(self, path: str = "") -> dict[str, str]:
        """TensorStore's kvstore spec of the folder `path` below this location."""
        if self._folder is not None:
            return {"driver": "file", "path": f"{self._folder}/{path}"}
        bucket, _, prefix = self.location.removeprefix("gs://").partition("/")
        return {"driver": "gcs", "bucket": bucket, "path": f"{prefix}/{path}".lstrip("/")}

    def read(self, key: str) -> bytes | None:
        """The content of a file; None where there is no such file."""
        return self.read_many([key])[key]

    def read_many(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        """The contents of many files, read concurrently; None for each missing file."""
        contents: dict[str, bytes | None] = dict.fromkeys(keys)
        futures = {key: self._kvstore.read(key) for key in contents if self._may_exist(key)}
        for key, future in futures.items():
            with self._naming(key, "read"):
                result = future.result()
            contents[key] = result.value if result.state == "value" else None
        return contents

    def read_range(self, key: str, start: int, stop: int) -> Callable[[], bytes]:
        """Starts to read the bytes from `start` to `stop`; the returned function waits for them.

        That function raises `error` if the file is missing or has fewer than `stop` bytes.
        """
        if start == stop:
            return lambda: b""
        future = self._kvstore.read(key, byte_range=slice(start, stop))

        def wait() -> bytes:
            with self._naming(key, "read"):
                result = future.result()
            if result.state != "value":
                raise self._error(f"There is no file {self.location}/{key}.")
            if len(result.value) != stop - start:
                raise self._error(f"The file {self.location}/{key} ends before byte {stop}.")
            return result.value

        return wait

    def write(self, key: str, content: bytes) -> None:
        """Writes a file."""
        self.write_many({key: content})

    def write_many(self, contents: Mapping[str, bytes]) -> None:
        """Writes many files, concurrently where they are in a bucket."""
        if self._folder is not None:
            for key, content in contents.items():
                with atomic_write(self._folder / key, self._error) as partial:
                    partial.write_bytes(content)
            return
        futures = {key: self._kvstore.write(key, content) for key, content in contents.items()}
        for key, future in futures.items():
            with self._naming(key, "written"):
                future.result()

    def write_if_absent(self, key: str, content: bytes) -> None:
        """Writes a file unless it exists; only the first of concurrent writers succeeds."""
        with self._naming(key, "written"):
            result = self._kvstore.read(key).result()
            if result.state == "missing":
                # The generation of a missing file makes the write conditional.
                self._kvstore.write(key, content, if_equal=result.stamp.generation).result()

    def keys(self, prefix: str = "") -> set[str]:
        """The keys of all files whose keys start with `prefix`."""
        with self._naming(prefix, "listed"):
            keys = {key.decode() for key in self._kvstore.list(_range(prefix)).result()}
            if not keys and self._folder is None:
                # TensorStore 0.1.86 takes a refused listing for an empty listing. A read of a
                # missing object is refused too where the right to list is absent.
                self._kvstore.read(prefix or "-").result()
            return keys

    def names(self) -> set[str]:
        """The names of the files and folders that lie directly in this location."""
        if self._folder is None:
            return {key.partition("/")[0] for key in self.keys()}
        with self._naming("", "listed"):
            return {path.name for path in self._folder.iterdir()}

    def delete(self, key: str) -> None:
        """Deletes a file; a missing file is ignored."""
        with self._naming(key, "deleted"):
            if self._folder is None:
                self._kvstore.write(key, None).result()
            else:
                (self._folder / key).unlink(missing_ok=True)

    def delete_prefix(self, prefix: str) -> None:
        """Deletes all files whose keys start with `prefix`, and local folders of such names."""
        with self._naming(prefix, "deleted"):
            if self._folder is None:
                if self.keys(prefix):
                    self._kvstore.delete_range(_range(prefix)).result()
                return
            folder, name = os.path.split(f"{self._folder}/{prefix}")
            for path in Path(folder).glob("*"):
                if path.name.startswith(name):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _naming(self, key: str, verb: str) -> contextlib.AbstractContextManager[None]:
        place = f"file {self.location}/{key}" if key else f"folder {self.location}"
        return named_errors(f"The {place} cannot be {verb}", self._error)

    def _may_exist(self, key: str) -> bool:
        """Whether a key is a local file, as KvStore fails on a folder; True for any in a bucket."""
        if self._folder is None:
            return True
        with self._naming(key, "read"):
            try:
                return stat.S_ISREG((self._folder / key).stat().st_mode)
            except (FileNotFoundError, NotADirectoryError):
                return False


def open_parent(location: str, error: type[PromptscaleError] = StorageError) -> tuple[Store, str]:
    """The store that a file is in, and the file's key there."""
    folder, name = os.path.split(resolve(location, error))
    if folder == "gs:":
        raise error(f"{location} is a bucket; it should be a file in the bucket.")
    return Store(folder, error), name


def fetch(location: str, path: Path) -> None:
    """Copies a file, local or at `gs://`, to the local `path`; raises StorageError if it cannot."""
    store, key = open_parent(location)
    content = store.read(key)
    if content is None:
        raise StorageError(f"There is no file {location}.")
    Store(path.parent).write(path.name, content)


def _range(prefix: str) -> ts.KvStore.KeyRange:
    """The range of all keys that start with `prefix`."""
    if not prefix:
        return ts.KvStore.KeyRange()
    return ts.KvStore.KeyRange(prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))
