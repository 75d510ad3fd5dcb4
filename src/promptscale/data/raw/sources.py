"""Where the rows come from: TensorFlow Datasets, prepared before, downloaded, or from local files.

TFDS's look-ups in the cloud are off unless downloading is allowed.
"""

import contextlib
import dataclasses
import fcntl
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from promptscale.config.schema import Data
from promptscale.config.tasks import MRQA, Task
from promptscale.data.raw import local_files
from promptscale.data.raw.published_files import published_files
from promptscale.errors import DataError

# TFDS's own public copy of prepared datasets; it has versions that today's builders no longer
# generate (GLUE 1.0.0).
TFDS_BUCKET = "gs://tfds-data/datasets"

tfds.disable_progress_bar()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """How to get datasets.

    Attributes:
      data_dir: TFDS's folder of prepared datasets; read, and written to when downloading.
      local_files: a folder of the originally published files to build from instead; None to use
        `data_dir`.
      substitutes: `task/split` (or `corpus/split`) to the file, relative to `local_files`, that is
        knowingly used instead of the published one: no row count, no checksum.
      download: whether TFDS may download what `data_dir` lacks.
      published: whether the datasets are the published ones, whose row counts are verified; false
        for a generated world under the same names.
    """

    data_dir: Path
    local_files: Path | None = None
    substitutes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    download: bool = False
    published: bool = True

    def substitute(self, name: str, split: str) -> str | None:
        """The file that stands in for a split, if any."""
        return self.substitutes.get(f"{name}/{split}") if self.local_files else None


def configured_source(data: Data, data_dir: Path) -> Source:
    """The source that a configuration describes; `data_dir` is where TFDS's folder is."""
    return Source(
        data_dir=data_dir,
        local_files=Path(data.local_files) if data.local_files else None,
        substitutes=data.substitutes,
        download=data.download,
        published=not data.generated,
    )


def _read(builder: Any, split: Any) -> tf.data.Dataset:
    """The split in the order of its record files, always the same."""
    read_config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    return builder.as_dataset(split=split, shuffle_files=False, read_config=read_config)


def _verify_mrqa(task: Task, manager: tfds.download.DownloadManager) -> None:
    """TFDS has no checksums for MRQA: ours, on the download that TFDS will then find cached."""
    for split, _ in task.splits:
        for file in published_files(task, split):
            path = Path(manager.download(file.url))
            if not file.matches(path):
                raise DataError(
                    f"The download of {file.url} for {task.title} is damaged: its checksum is not "
                    f"{file.checksum}; delete {path} and try again."
                )


def _download(builder: Any, task: Task | None, source: Source) -> None:
    """Downloads and prepares a dataset, one process at a time, checksums verified."""
    downloads = source.data_dir / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    with (downloads / f".{builder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if builder.is_prepared():
            return
        mrqa = task is not None and task.name in MRQA
        manager = tfds.download.DownloadManager(
            download_dir=downloads,
            dataset_name=builder.name,
            force_checksums_validation=not mrqa,
        )
        if task is not None and mrqa:
            _verify_mrqa(task, manager)
        builder._make_download_manager = lambda **_: manager
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )


def _builder(name: str, source: Source, task: Task | None = None) -> tfds.core.DatasetBuilder:
    """The prepared dataset `name` (with its version), downloaded if it may be.

    Raises:
      DataError: it is not there and may not, or cannot, be downloaded.
    """
    with contextlib.suppress(tfds.core.DatasetNotFoundError, AssertionError):
        builder = tfds.builder(name, data_dir=source.data_dir)
        if builder.is_prepared():
            return builder
    if not source.download:
        raise DataError(
            f"{name} is not in {source.data_dir}; set data.download to true where there is a "
            "network, or data.local_files to a folder of the published files."
        )
    try:
        builder = tfds.builder(name, data_dir=source.data_dir)
        if builder.version == builder.canonical_version:
            _download(builder, task, source)
        else:  # a version that today's builder reads but does not generate
            builder = tfds.builder(name, data_dir=TFDS_BUCKET)
            if not builder.is_prepared():
                raise FileNotFoundError(f"{TFDS_BUCKET} does not have it")
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{name} could not be downloaded to {source.data_dir}: {error}") from error
    return builder


@contextlib.contextmanager
def open_split(task: Task, split: str, source: Source) -> Iterator[tf.data.Dataset]:
    """The rows of a task's split as TFDS gives them, readable within the context.

    Raises:
      DataError: the dataset is missing, incomplete or not what its checksum says.
      ConfigError: the task has no such split.
    """
    tfds_split = task.tfds_split(split)
    substitute = source.substitute(task.name, split)
    with contextlib.ExitStack() as stack:
        if source.local_files is None:
            builder = _builder(task.tfds, source, task)
        else:
            source.data_dir.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.TemporaryDirectory(dir=source.data_dir, prefix=f".{task.name}-")
            builder = local_files.build(
                task, split, source.local_files, substitute, Path(stack.enter_context(scratch))
            )
        if tfds_split not in builder.info.splits:
            raise DataError(
                f"{task.tfds} in {builder.data_dir} has no split {tfds_split!r}; it has "
                f"{', '.join(builder.info.splits)}."
            )
        rows, published = builder.info.splits[tfds_split].num_examples, task.published_rows(split)
        if source.published and substitute is None and rows != published:
            urls = ", ".join(file.url for file in published_files(task, split))
            raise DataError(
                f"{task.title} ({split}) has {rows} rows where the published dataset has "
                f"{published}; get it from {urls}, or name the file in data.substitutes under "
                f"{task.name}/{split} to use it as it is."
            )
        yield _read(builder, tfds_split)


def read_texts(
    corpus: str, split: str, source: Source, shard: int = 0, num_shards: int = 1
) -> Iterator[str]:
    """The documents of one of `num_shards` slices of a text corpus, always in the same order.

    Args:
      corpus: a TFDS name with its version, such as `c4/en:3.1.0`; its feature `text` is read.
      split: its split.
      source: where it comes from; a substitute is a `.jsonl` file of rows with a `text`.
      shard: which slice, from 0.
      num_shards: how many slices; the slices of one number put together are the whole split.
    Raises:
      DataError: the corpus is missing.
    """
    substitute = source.substitute(corpus.split(":")[0], split)
    if source.local_files is not None and substitute is not None:
        path = source.local_files / substitute
        if not path.is_file():
            raise DataError(f"data.substitutes names {path}, but there is no such file.")
        with path.open(encoding="utf-8") as file:
            for line in itertools.islice(file, shard, None, num_shards):
                yield json.loads(line)["text"]
    else:
        dataset = _read(_builder(corpus, source), tfds.even_splits(split, num_shards)[shard])
        for text in dataset.map(lambda row: row["text"]).as_numpy_iterator():
            yield bytes(text).decode("utf-8")
