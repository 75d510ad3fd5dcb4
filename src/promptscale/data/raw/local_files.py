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

from promptscale.config.tasks import TASKS, Task
from promptscale.data.raw.published_files import MRPC_TSV, PublishedFile, published_files
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
        what = f"{file.path} (or {file.archive})" if file.archive else file.path
        raise DataError(
            f"{task.title} ({split}) is incomplete: {what} is not under {folder}; "
            f"get it from {file.url}."
        )
    if not file.matches(found):
        raise DataError(
            f"{found} is not the complete published {file.path} of {task.title} ({split}, "
            f"{task.published_rows(split)} rows): its checksum differs; get it from {file.url}, "
            f"or name it in data.substitutes under {task.name}/{split} to use it as it is."
        )
    return found


def _stage(source: Path, name: str, scratch: Path) -> None:
    """Puts a file where the builder will look for it, unpacked."""
    staged = scratch / name.removesuffix(".gz")
    staged.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".gz":
        with gzip.open(source) as packed, staged.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    else:
        staged.symlink_to(source.resolve())


def _stage_mrpc(source: Path, split: str, scratch: Path) -> None:
    """GLUE's own `train.tsv` or `dev.tsv` of MRPC in the form of the corpus that TFDS reads.

    TFDS divides the one original file by a list of development ids, and skips its byte order mark.
    """
    files = published_files(TASKS["mrpc"], split)
    rows, ids = (scratch / file.path for file in files)
    lines = source.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    rows.write_text("".join(lines), encoding="utf-8-sig")
    pairs = ["\t".join(line.split("\t")[1:3]) + "\n" for line in lines[1:]]
    ids.write_text("".join(pairs) if split == "validation" else "", encoding="utf-8")


def _stage_all(
    task: Task, split: str, folder: Path, substitute: str | None, scratch: Path
) -> LocalDownloads:
    """Stages what the builder reads for one split: the published files, or their substitute."""
    scratch.mkdir(parents=True)
    files = published_files(task, split)
    other = folder / substitute if substitute else None
    if other is not None and not other.is_file():
        raise DataError(
            f"data.substitutes names {other} for {task.name}/{split}, but there is no such file."
        )
    if task.name == "mrpc" and other is None and _find(folder, files[0].path) is None:
        other = _find(folder, MRPC_TSV[split])
    if task.name == "mrpc" and other is not None:
        _stage_mrpc(other, split, scratch)
    else:
        for file in files:
            source = other or _published(file, task, split, folder, scratch)
            _stage(source, file.path, scratch)
    return LocalDownloads(
        {
            file.url: scratch if file.archive else scratch / file.path.removesuffix(".gz")
            for file in files
        },
        scratch / "absent",
    )


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
    builder: Any = tfds.builder(name, data_dir=scratch / "tfds")
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
