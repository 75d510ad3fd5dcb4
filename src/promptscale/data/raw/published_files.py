"""The files in which the datasets were published: names, checksums, addresses.

`published_files.csv` lists them. The checksums of SuperGLUE's files are those of the copies in
several public repositories. Those of SQuAD, DPR and MRPC are TFDS's. Those of MRQA are in the MRQA
README.
"""

import csv
import hashlib
from pathlib import Path
from typing import NamedTuple

from promptscale.config.tasks import Task
from promptscale.errors import DataError

# GLUE's files of MRPC, already divided into splits; they are used where the corpus is missing.
MRPC_TSV = {"train": "MRPC/train.tsv", "validation": "MRPC/dev.tsv"}

_TABLE = Path(__file__).with_suffix(".csv")


class PublishedFile(NamedTuple):
    """A file of a published dataset."""

    path: str  # its usual path below the folder of files, or inside its archive
    url: str  # the address of the file, or of the archive that holds it
    checksum: str = ""  # `sha256:...`, `md5:...` or `git-blob:...`; empty where none is known

    @property
    def archive(self) -> str:
        """The name of the zip archive that holds the file; empty where there is none."""
        return Path(self.url).name if self.url.endswith(".zip") else ""

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` has the known checksum; true where none is known."""
        if not self.checksum:
            return True
        algorithm, expected = self.checksum.split(":")
        with path.open("rb") as file:
            if algorithm != "git-blob":
                return hashlib.file_digest(file, algorithm).hexdigest() == expected
            header = b"blob %d\0" % path.stat().st_size
            return hashlib.sha1(header + file.read()).hexdigest() == expected


def published_files(task: Task, split: str) -> tuple[PublishedFile, ...]:
    """The published files that TFDS reads for our `split` of `task`.

    Raises:
      DataError: no files are listed for the task and split.
    """
    with _TABLE.open(encoding="utf-8", newline="") as table:
        files = tuple(
            PublishedFile(row["path"], row["url"], row["checksum"])
            for row in csv.DictReader(table)
            if (row["task"], row["split"]) == (task.name, split)
        )
    if not files:
        raise DataError(
            f"No published files are known for {task.title} ({split}); list them in {_TABLE}."
        )
    return files
