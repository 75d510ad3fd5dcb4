"""Published results: the tidy tables of an experiment, packed for others to draw figures from.

A bundle is a folder with each table as `NAME.csv.gz` and a manifest: the sha256 of every file, the
configuration of the results, and the versions that made them. Equal tables give equal bytes.
"""

import gzip
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pydantic

from promptscale.config.settings import Origin
from promptscale.config.values import Label, Strict
from promptscale.errors import ResultsError
from promptscale.reporting import software
from promptscale.reporting.csv_schema import read_texts
from promptscale.reporting.provenance import Provenance
from promptscale.storage.atomic import atomic_directory
from promptscale.storage.text_files import read_lines

MANIFEST = "manifest.json"


class PublishedTable(Strict):
    """A table of a bundle."""

    sha256: str
    rows: int


class Manifest(Strict):
    """The content of a bundle and its provenance."""

    format_version: Literal[2] = 2
    origin: Origin
    label: Label
    configuration: dict[str, Any]
    revision: str | None  # of the git repository; None outside a repository
    versions: dict[str, str]
    runs: dict[str, int]  # by method
    tables: dict[str, PublishedTable]


def publish(folder: Path, tables: Mapping[str, Path], configuration: str) -> None:
    """Packs the tables, by name, into `folder`, replacing an older bundle of the same results.

    The table `runs` must be given. `configuration` is the validated configuration as JSON.

    Raises:
      ResultsError: a table is missing, or of another origin or label than the configuration; or
        `folder` holds results of another origin or label, or other files without a manifest.
    """
    settings = json.loads(configuration)
    source = Provenance(settings["origin"], settings["label"])
    _refuse_another(folder, source)
    packed_before = {MANIFEST, *(path.name for path in folder.glob("*.csv.gz"))}
    others = [path for path in folder.glob("*") if path.name not in packed_before]
    packed = {}
    with atomic_directory(folder) as partial:
        for name, path in tables.items():
            frame = _checked(path, source)
            file = Path(table(partial, name))
            with file.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as zipped:
                zipped.write(path.read_bytes())
            packed[name] = PublishedTable(sha256=_sha256(file), rows=len(frame))
        runs = read_texts(tables["runs"], "run", "method").drop_duplicates(["run", "method"])
        manifest = Manifest(
            **source._asdict(),
            configuration=_without_folders(settings),
            revision=software.revision(),
            versions=software.versions(),
            runs=dict(Counter(sorted(runs["method"]))),
            tables=packed,
        )
        (partial / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        for other in others:
            copy = shutil.copytree if other.is_dir() else shutil.copy2
            copy(other, partial / other.name)


def _without_folders(value: Any) -> Any:
    """A configuration in which an absolute path is its last part: folders tell of one machine."""
    match value:
        case dict():
            return {key: _without_folders(item) for key, item in value.items()}
        case list():
            return [_without_folders(item) for item in value]
        case str() if value.startswith("/"):
            return Path(value).name
    return value


def _refuse_another(folder: Path, source: Provenance) -> None:
    if (folder / MANIFEST).exists():
        manifest = _manifest(folder)
        sources = Provenance(manifest.origin, manifest.label), source
        if len(set(sources)) > 1:
            theirs, ours = (f"of the {x.origin} origin, labelled {x.label!r}" for x in sources)
            raise ResultsError(
                f"{folder} holds published results {theirs}, but these are {ours}; results of "
                "several origins or labels are never mixed."
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ResultsError(
            f"{folder} holds files other than published results ({MANIFEST} is missing); "
            "publish into an empty folder."
        )


def verify(folder: Path) -> Manifest:
    """The manifest of a bundle, after a check that all its tables are complete and unchanged.

    Raises:
      ResultsError: names the table that is missing or altered.
    """
    manifest = _manifest(folder)
    for name, published in manifest.tables.items():
        file = Path(table(folder, name))
        altered = f"is not the published table (its sha256 differs from {MANIFEST}'s)"
        fault = altered if file.is_file() else "is missing"
        if fault != altered or _sha256(file) != published.sha256:
            raise ResultsError(
                f"The published table {file} {fault}; restore it from version control, or run "
                "`snakemake publish` again."
            )
    return manifest


def table(folder: Path, name: str) -> str:
    """The path of a table in a bundle."""
    return str(folder / f"{name}.csv.gz")


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.exists():
        raise ResultsError(
            f"There are no published results in {folder}: {path} is missing; `snakemake publish` "
            "packs results there."
        )
    try:
        return Manifest.model_validate_json("".join(read_lines(path, ResultsError)))
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = f"the key {'.'.join(map(str, fault['loc']))!r}: " if fault["loc"] else ""
        problem = fault["msg"].replace("Input should", "it should")
        raise ResultsError(
            f"{path} is not a manifest of published results; {place}{problem}."
        ) from None


def _checked(path: Path, source: Provenance) -> pd.DataFrame:
    """The table; its origin and label, if it has both columns, must be those of `source`."""
    frame = read_texts(path)
    wanted = source._asdict() if "origin" in frame else {}  # `label` alone is that of a class
    for column, value in wanted.items():
        others = set(frame.get(column, [""])) - {value}
        if others:
            raise ResultsError(
                f"{path} has results of the {column} {min(others)!r}, not of {value!r}; results of "
                f"two {column}s are never mixed."
            )
    return frame


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
