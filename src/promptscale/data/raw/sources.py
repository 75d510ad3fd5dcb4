"""Sources of rows: datasets that TFDS prepared before, downloads, and local files.

TFDS looks nothing up in the cloud unless downloading is allowed.
"""

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds
from filelock import FileLock

from promptscale.config.schema import Data
from promptscale.config.tasks import MRQA, Task
from promptscale.data.json_lines import parse_object, read_places
from promptscale.data.raw import local_files
from promptscale.data.raw.published_files import published_files
from promptscale.data.raw.tfds_builder import download_and_prepare, gist
from promptscale.errors import DataError
from promptscale.storage.location import is_remote, resolve

# TFDS's public copy of prepared datasets. It has versions that today's builders no longer generate
# (GLUE 1.0.0).
TFDS_BUCKET = "gs://tfds-data/datasets"

tfds.disable_progress_bar()


def _local(key: str, text: str) -> Path:
    """The local path that the configuration's `key` gives.

    Raises:
      DataError: it is in a bucket.
    """
    location = resolve(text)
    if is_remote(location):
        raise DataError(f"data.{key} is {text}; it must be a local path here, not a bucket.")
    return Path(location)


def _local_files(data: Data) -> Path | None:
    """The folder of published files; None if the configuration names none."""
    if data.local_files is None:
        return None
    folder = _local("local_files", data.local_files)
    if not folder.is_dir():
        raise DataError(f"data.local_files is {data.local_files}, but there is no such folder.")
    return folder


def _substitute(data: Data, name: str, split: str) -> Path | None:
    """The local file that replaces a published file; its checksum and number of rows are free."""
    text = data.substitutes.get(f"{name}/{split}")
    if text is None:
        return None
    key, folder = f"substitutes.{name}/{split}", _local_files(data)
    if folder is None:
        raise DataError(f"data.{key} needs data.local_files, the folder that its path begins in.")
    path = _local(key, text)
    if not Path(text).expanduser().is_absolute():
        path = folder / text
    if not path.is_file():
        raise DataError(f"data.{key} names {path}, but there is no such file.")
    return path


def _read(builder: Any, split: Any) -> tf.data.Dataset:
    """Reads a split in the order of its record files, which is always the same."""
    read_config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    return builder.as_dataset(split=split, shuffle_files=False, read_config=read_config)


def _download(builder: Any, task: Task | None, data: Data) -> None:
    """Downloads and prepares a dataset and verifies checksums; a lock admits a single process."""
    downloads = _local("data_dir", data.data_dir) / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    with FileLock(downloads / f".{builder.name}.lock"):
        if builder.is_prepared():
            return
        # TFDS has no checksums of MRQA. Its files, a split of each task, are verified here.
        mrqa = published_files(task, "validation") if task and task.name in MRQA else ()
        manager = tfds.download.DownloadManager(
            download_dir=downloads, dataset_name=builder.name, force_checksums_validation=not mrqa
        )
        for file in mrqa:
            path = Path(manager.download(file.url))
            if not file.matches(path):
                raise DataError(
                    f"The download of {file.url} for {builder.info.full_name} is damaged: its "
                    f"checksum is not {file.checksum}; delete {path} and try again."
                )
        download_and_prepare(builder, manager)


def _builder(name: str, data: Data, task: Task | None = None) -> tfds.core.DatasetBuilder:
    """The builder of the prepared dataset `name` (with its version), downloaded if necessary.

    Raises:
      DataError: the dataset is missing, and a download is not allowed or fails.
    """
    folder = resolve(data.data_dir)
    try:
        with contextlib.suppress(tfds.core.DatasetNotFoundError, AssertionError):
            builder = tfds.builder(name, data_dir=folder)
            if builder.is_prepared():
                return builder
    except Exception as error:
        raise DataError(f"{name} cannot be read from {folder}: {gist(error)}.") from error
    if not data.download:
        raise DataError(
            f"{name} is not in {folder}; set data.download to true where there is a network, or "
            "data.local_files to a folder of the published files."
        )
    try:
        builder = tfds.builder(name, data_dir=folder)
        if builder.version == builder.canonical_version:
            _download(builder, task, data)
        else:  # a version that today's builder can read but not generate
            builder = tfds.builder(name, data_dir=TFDS_BUCKET)
            if not builder.is_prepared():
                raise FileNotFoundError(f"{TFDS_BUCKET} does not have it")
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{name} could not be downloaded to {folder}: {gist(error)}.") from error
    return builder


@contextlib.contextmanager
def named_faults(what: str) -> Iterator[None]:
    """Raises DataError for what TFDS and TensorFlow raise while the rows of `what` are read."""
    try:
        yield
    except (tf.errors.OpError, OSError, KeyError, ValueError) as error:
        raise DataError(f"{what} cannot be read: {gist(error)}.") from error


@contextlib.contextmanager
def open_split(task: Task, split: str, data: Data) -> Iterator[tf.data.Dataset]:
    """The rows of a task's split as TFDS gives them; they can be read inside the context only.

    Raises:
      DataError: the dataset is missing or incomplete, or a checksum differs.
      ConfigError: the task has no such split.
    """
    tfds_split = task.tfds_split(split)
    substitute, folder = _substitute(data, task.name, split), _local_files(data)
    with contextlib.ExitStack() as stack:
        if folder is None:
            builder = _builder(task.tfds, data, task)
        else:
            # Not in data_dir or local_files, which may be shared and read-only.
            scratch = tempfile.TemporaryDirectory(prefix=f"promptscale-{task.name}-")
            builder = local_files.build(
                task, split, folder, substitute, Path(stack.enter_context(scratch))
            )
        if tfds_split not in builder.info.splits:
            raise DataError(
                f"{task.tfds} in {builder.data_dir} has no split {tfds_split!r}; it has "
                f"{', '.join(builder.info.splits)}."
            )
        rows, published = builder.info.splits[tfds_split].num_examples, task.rows[split]
        if not data.generated and substitute is None and rows != published:
            urls = ", ".join(file.url for file in published_files(task, split))
            raise DataError(
                f"{task.title} ({split}) has {rows} rows where the published dataset has "
                f"{published}; get it from {urls}, or name the file in data.substitutes under "
                f"{task.name}/{split} to use it as it is."
            )
        yield _read(builder, tfds_split)


def read_texts(
    corpus: str, split: str, data: Data, shard: int = 0, num_shards: int = 1
) -> Iterator[str]:
    """The documents of slice `shard` (from 0) of a text corpus, always in the same order.

    `corpus` is a TFDS name with its version, such as `c4/en:3.1.0`; its feature `text` is read. Its
    substitute is a file of JSON lines with a field `text`, plain or gzipped. All `num_shards`
    slices are the whole split.

    Raises:
      DataError: the corpus is missing or damaged; names the file and line of a substitute.
    """
    path = _substitute(data, corpus.split(":")[0], split)
    if path is None:
        yield from _texts_of_tfds(corpus, split, data, shard, num_shards)
        return
    for place, line in itertools.islice(read_places(path), shard, None, num_shards):
        text = parse_object(place, line).get("text")
        if not isinstance(text, str):
            raise DataError(f"{place}: the object has no field 'text' with a string.")
        yield text


def _texts_of_tfds(
    corpus: str, split: str, data: Data, shard: int, num_shards: int
) -> Iterator[str]:
    builder = _builder(corpus, data)
    with named_faults(f"The split {split!r} of {corpus} in {builder.data_dir}"):
        dataset = _read(builder, tfds.even_splits(split, num_shards)[shard])
        if "text" not in dataset.element_spec:
            raise DataError(f"data.corpus is {corpus}, which has no feature 'text'; name a corpus.")
        for text in dataset.map(lambda row: row["text"]).as_numpy_iterator():
            yield bytes(text).decode("utf-8")
