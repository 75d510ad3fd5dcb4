"""Datasets that TFDS's builders prepare from a folder of published files, without a network.

The builder's code reads the files and writes its records; only its download manager is replaced,
by `local_downloads`. Each split is built separately, so missing files of a split do not block other
splits.
"""

import gzip
import shutil
import types
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from promptscale.config.tasks import TASKS, Task
from promptscale.data.raw.published_files import MRPC_TSV, PublishedFile, published_files
from promptscale.data.raw.published_rows import check_rows
from promptscale.data.raw.tfds_builder import download_and_prepare, gist
from promptscale.errors import DataError
from promptscale.storage.reasons import reason
from promptscale.storage.text_files import read_lines

# What `zipfile` raises for an archive that is damaged, encrypted, incomplete or unreadable.
_ZIP_FAULTS = (
    *(KeyError, zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(RuntimeError, NotImplementedError, ValueError),
)


def local_downloads(staged: Mapping[str, Path], absent: Path) -> types.SimpleNamespace:
    """Stands in for TFDS's download manager, and answers each URL of `staged` with its file.

    `absent` answers the URLs that only other splits need.
    """

    def download(urls: Any) -> Any:  # a string, or a dict of strings
        return tf.nest.map_structure(lambda url: str(staged.get(url, absent)), urls)

    return types.SimpleNamespace(
        download=download, download_and_extract=download, downloaded_size=0
    )


def _find(folder: Path, path: str) -> Path | None:
    """The file `path` in the folder, or the first match in the fewest subfolders."""
    if not path:
        return None
    if (folder / path).is_file():
        return folder / path
    matches = [match for match in folder.rglob(path) if match.is_file()]
    return min(matches, key=lambda match: (len(match.parts), match), default=None)


def _verified(file: PublishedFile, task: Task, split: str, folder: Path, scratch: Path) -> Path:
    """Finds a published file in the folder or in its archive there, and verifies its checksum."""
    path = _find(folder, file.path)
    if path is None and (archive := _find(folder, file.archive)):
        try:
            with zipfile.ZipFile(archive) as members:
                path = Path(members.extract(file.path, scratch / "extracted"))
        except _ZIP_FAULTS as error:
            raise DataError(
                f"{archive} is damaged or lacks {file.path}; get it from {file.url}."
            ) from error
    if path is None:
        what = f"{file.path} (or {file.archive})" if file.archive else file.path
        raise DataError(
            f"{task.title} ({split}) is incomplete: {what} is not under {folder}; "
            f"get it from {file.url}."
        )
    try:
        complete = file.matches(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from error
    if not complete:
        raise DataError(
            f"{path} is not the complete published {file.path} of {task.title} ({split}, "
            f"{task.rows[split]} rows): its checksum differs; get it from {file.url}, "
            f"or name it in data.substitutes under {task.name}/{split} to use it as it is."
        )
    return path


def _stage(source: Path, staged: Path) -> None:
    """Puts a verified file, uncompressed, where the builder looks for it."""
    if source.suffix == ".gz":
        with gzip.open(source) as packed, staged.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    else:
        staged.symlink_to(source.resolve())


def _stage_rows(task: Task, source: Path, staged: Path) -> None:
    """Copies the rows of a file that is not verified, after a check of each.

    The builders read neither a byte order mark nor blank lines, except for DPR's.
    """
    check_rows(task, source)
    with staged.open("w", encoding="utf-8", newline="") as file:
        lines = read_lines(source, DataError)
        file.writelines(line for line in lines if line.strip() or task.name == "dpr")


def _stage_mrpc(source: Path, split: str, scratch: Path) -> None:
    """Writes the two files of the MRPC corpus that TFDS reads, from GLUE's file of a split.

    TFDS divides the corpus by a list of development ids, and skips its byte order mark.
    """
    check_rows(TASKS["mrpc"], source)
    corpus, ids = (scratch / file.path for file in published_files(TASKS["mrpc"], split))
    lines = [line.rstrip("\r\n") + "\n" for line in read_lines(source, DataError) if line.strip()]
    corpus.write_text("".join(lines), encoding="utf-8-sig")
    pairs = ["\t".join(line.split("\t")[1:3]) + "\n" for line in lines[1:]]
    ids.write_text("".join(pairs) if split == "validation" else "", encoding="utf-8")


def build(
    task: Task, split: str, folder: Path, substitute: Path | None, scratch: Path
) -> tfds.core.DatasetBuilder:
    """Builds a split with TFDS's builder from local files, below the empty folder `scratch`.

    The published files are anywhere below `folder`, or inside their zip archives there. A
    `substitute` is used instead of them, unverified.

    Raises:
      DataError: a file is missing, damaged or incomplete, its checksum differs, or a row of a file
        without a known checksum is wrong.
    """
    staging = scratch / "files"
    staging.mkdir(parents=True)
    files = published_files(task, split)
    if task.name == "mrpc" and _find(folder, files[0].path) is None:
        substitute = substitute or _find(folder, MRPC_TSV[split])
    if task.name == "mrpc" and substitute is not None:
        _stage_mrpc(substitute, split, staging)
    else:
        for file in files:
            source = substitute or _verified(file, task, split, folder, staging)
            staged = staging / file.path.removesuffix(".gz")
            staged.parent.mkdir(parents=True, exist_ok=True)
            if substitute is None and file.checksum:
                _stage(source, staged)
            else:
                _stage_rows(task, source, staged)
    paths = ["" if file.archive else file.path.removesuffix(".gz") for file in files]
    answers = {file.url: staging / path for file, path in zip(files, paths, strict=True)}
    downloads = local_downloads(answers, staging / "absent")
    builder = tfds.builder(task.tfds.split(":")[0], data_dir=scratch / "tfds")
    try:
        download_and_prepare(builder, downloads, task.tfds_split(split))
    except Exception as error:
        raise DataError(
            f"TFDS cannot read the files of {task.title} ({split}) under {folder}: {gist(error)}."
        ) from error
    return builder
