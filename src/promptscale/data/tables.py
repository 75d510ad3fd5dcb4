"""Tables of a user's own data: CSV, TSV, JSON lines and plain lines, plain or gzipped."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from promptscale.data.json_lines import read_objects
from promptscale.errors import DataError, shortened
from promptscale.storage.text_files import read_lines

Format = Literal["csv", "tsv", "jsonl", "txt"]
FORMATS: tuple[Format, ...] = get_args(Format)
LINE = "input"  # the column of a file of plain lines


class TableRow(NamedTuple):
    """A row of a table, with its place `PATH, line N`."""

    place: str
    cells: Mapping[str, Any]

    def text(self, column: str) -> str:
        """The text in a column; numbers and truth values of JSON are written as Python does.

        Raises:
          DataError: the row has no such column, or it holds neither a text nor a number.
        """
        if column not in self.cells:
            names = shortened(map(repr, self.cells), 8) or "none"
            raise DataError(
                f"{self.place}: there is no column {column!r}; the columns are {names}. A template "
                "and a target column choose among them."
            )
        value = self.cells[column]
        if isinstance(value, str | int | float):
            return str(value)
        kind = "a list" if isinstance(value, list) else "an object" if value else "empty"
        raise DataError(
            f"{self.place}: the column {column!r} is {kind}; it should be a text or a number."
        )


def read_table(path: Path, kind: Format | None = None) -> Iterator[TableRow]:
    """Reads the rows of a file one after the other, so that it may be larger than the memory.

    CSV and TSV start with a line of column names. A quotation mark is an ordinary character in
    TSV. JSON lines have an object per line; their blank lines are skipped. A plain line, also an
    empty one, is a row with the column `input`.

    Args:
      path: the file, gzipped or not.
      kind: its format; by default that of the suffix, such as `.csv` or `.csv.gz`.

    Raises:
      DataError: the file is missing, empty, not UTF-8 or not of the format, or has no rows.
    """
    rows = _READERS[kind or _format(path)](path)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path} has no rows.")
    yield first
    yield from rows


def _format(path: Path) -> Format:
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    for name in FORMATS:
        if suffix.lower() == f".{name}":
            return name
    known = ", ".join(f".{name}" for name in FORMATS)
    raise DataError(
        f"The format of {path} is unknown: its suffix is {suffix or 'missing'!r}, and tables have "
        f"{known}; rename the file, or name its format with --format."
    )


def _read_csv(path: Path) -> Iterator[TableRow]:
    return _read_delimited(path, csv.reader(read_lines(path, DataError), strict=True))


def _read_tsv(path: Path) -> Iterator[TableRow]:
    lines = read_lines(path, DataError)
    return _read_delimited(path, csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def _read_delimited(path: Path, reader: Any) -> Iterator[TableRow]:
    rows = _numbered(path, reader)
    place, names = next(rows, ("", []))
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{place}: two columns are called {twice[0]!r}; rename one of them.")
    for place, cells in rows:
        if len(cells) != len(names):
            raise DataError(
                f"{place}: the row has {len(cells)} cells, and the first line of the file names "
                f"{len(names)} columns ({shortened(names, 8)})."
            )
        yield TableRow(place, dict(zip(names, cells, strict=True)))


def _numbered(path: Path, reader: Any) -> Iterator[tuple[str, list[str]]]:
    """The rows that are not blank, with their places."""
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: {error}; correct the line."
            ) from error
        if cells is None:
            return
        if cells:
            yield f"{path}, line {reader.line_num}", cells


def _read_json_lines(path: Path) -> Iterator[TableRow]:
    return (TableRow(place, cells) for place, cells in read_objects(path))


def _read_plain_lines(path: Path) -> Iterator[TableRow]:
    return _plain(path, read_lines(path, DataError))


def _plain(path: Path, lines: Iterable[str]) -> Iterator[TableRow]:
    for number, line in enumerate(lines, 1):
        yield TableRow(f"{path}, line {number}", {LINE: line.rstrip("\r\n")})


_READERS = {
    "csv": _read_csv,
    "tsv": _read_tsv,
    "jsonl": _read_json_lines,
    "txt": _read_plain_lines,
}
