"""TFDS's own builders, fed from a folder of published files on a machine without a network.

The builder's code reads the files and writes its records; only its download manager is replaced by
one that answers with files staged from the folder. One split is built at a time, so that a split
whose files are not there stands in nobody's way.
"""

import gzip
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from promptscale.config.tasks import Task
from promptscale.data.published import PublishedFile, published_files
from promptscale.errors import DataError


class LocalDownloads:
    """Stands in for TFDS's download manager: answers each URL with the file staged for it."""

    downloaded_size = 0

    def __init__(self, staged: Mapping[str, Path], absent: Path) -> None:
        self._staged = staged
        self._absent = absent  # answers URLs that only other splits need

    def download(self, urls: Any) -> Any:
        """The local path of each URL, in the structure (a string or a dict) of `urls`."""
        if isinstance(urls, Mapping):
            return {key: self.download(url) for key, url in urls.items()}
        return str(self._staged.get(urls, self._absent))

    download_and_extract = download


def _find(folder: Path, path: str) -> Path | None:
    if not path:
        return None
    if (folder / path).is_file():
        return folder / path
    found = [match for match in folder.rglob(path) if match.is_file()]
    return min(found, key=lambda match: (len(match.parts), match), default=None)


def _published(file: PublishedFile, task: Task, split: str, folder: Path, scratch: Path) -> Path:
    """The published file in the folder, taken out of its archive if need be, and verified."""
    found = _find(folder, file.path)
    archive = _find(folder, file.archive)
    if found is None and archive is not None:
        try:
            with zipfile.ZipFile(archive) as members:
                found = Path(members.extract(file.path, scratch / "extracted"))
        except (KeyError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{archive} is damaged or lacks {file.path}; get it from {file.url}."
            ) from error
    if found is None:
        alternative = f" nor {file.archive}" if file.archive else ""
        raise DataError(
            f"{task.title} ({split}) is incomplete: neither {file.path}{alternative} is under "
            f"{folder}; get it from {file.url}."
            if alternative
            else f"{task.title} ({split}) is incomplete: {file.path} is not under {folder}; "
            f"get it from {file.url}."
        )
    if not file.matches(found):
        raise DataError(
            f"{found} is not the complete published {file.path} of {task.title} ({split}, "
            f"{task.published_rows(split)} rows): its checksum differs; get it from {file.url}, "
            f"or name it in data.substitutes under {task.name}/{split} to use it as it is."
        )
    return found


def _stage(source: Path, name: str, scratch: Path) -> Path:
    """Puts a file where the builder will look for it, unpacked."""
    staged = scratch / name.removesuffix(".gz")
    staged.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".gz":
        with gzip.open(source) as packed, staged.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    else:
        staged.symlink_to(source.resolve())
    return staged


def _stage_all(
    task: Task, split: str, folder: Path, substitute: str | None, scratch: Path
) -> LocalDownloads:
    files = published_files(task, split)
    staged: dict[str, Path] = {}
    for file in files[:1] if substitute else files:
        if substitute is None:
            source = _published(file, task, split, folder, scratch)
        else:
            source = folder / substitute
            if not source.is_file():
                raise DataError(
                    f"data.substitutes names {source} for {task.name}/{split}, "
                    "but there is no such file."
                )
        path = _stage(source, file.path, scratch)
        staged[file.url] = scratch if file.archive else path
    return LocalDownloads(staged, scratch / "absent")


def _only(split: str, generators: Any) -> Any:
    """A builder's split generators (a dict, or a list in older builders) for one split."""
    if isinstance(generators, Mapping):
        return {name: generator for name, generator in generators.items() if name == split}
    return [generator for generator in generators if generator.name == split]


def build(
    task: Task, split: str, folder: Path, substitute: str | None, scratch: Path
) -> tfds.core.DatasetBuilder:
    """Builds one split with TFDS's builder from local files, below `scratch`.

    Args:
      task: the task.
      split: our split.
      folder: the folder of published files, each anywhere below it, or inside its zip archive.
      substitute: a file (relative to the folder) to use instead of the published one, unchecked.
      scratch: an empty folder, which may be deleted after the dataset was read.
    Raises:
      DataError: a file is missing, damaged, incomplete or not what its checksum says.
    """
    name = task.tfds.split(":")[0]
    tfds_split = task.tfds_split(split)
    downloads = _stage_all(task, split, folder, substitute, scratch / "files")
    builder = tfds.builder(name, data_dir=scratch / "tfds")
    generators = builder._split_generators
    # On this one instance: its splits, and where its downloads come from. All else is TFDS's.
    builder._split_generators = lambda dl_manager: _only(tfds_split, generators(dl_manager))
    builder._make_download_manager = lambda **_: downloads
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    except Exception as error:
        raise DataError(
            f"TFDS cannot read the files of {task.title} ({split}) under {folder}: {error}"
        ) from error
    return builder
