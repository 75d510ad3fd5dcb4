"""Tidy CSV tables, read against a schema."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa

from promptscale.errors import ResultsError
from promptscale.storage.text_files import read_lines

_NOUNS = {"int64": "a whole number", "float64": "a number", "bool": "True or False"}


def choice(values: Iterable[str]) -> pa.Column:
    """A column of these texts."""
    listed = ", ".join(value or "empty" for value in values)
    return pa.Column(None, pa.Check.isin(list(values), error=f"it must be one of {listed}"))


def at_least_zero(dtype: str) -> pa.Column:
    """A column of numbers that are not negative."""
    return pa.Column(dtype, pa.Check.ge(0, error="it must be 0 or more"))


def between(low: float, high: float) -> pa.Column:
    """A column of numbers from `low` to `high`."""
    check = pa.Check.in_range(low, high, error=f"it must be between {low:g} and {high:g}")
    return pa.Column("float64", check)


def number(*further: str, checks: pa.Check | None = None) -> pa.Column:
    """A column of finite numbers, or of one of the `further` texts: `nan`, `inf`, or empty."""
    return pa.Column("float64", checks, nullable=True, metadata={"further": further})


def read(path: Path, schema: pa.DataFrameSchema, key: list[str]) -> pd.DataFrame:
    """Reads a CSV file whose columns are those of `schema`, in any order.

    Raises:
      ResultsError: the file is missing, empty, not CSV, a cell does not fit the schema, or two
        rows agree in the columns `key`; the message names file, line and column.
    """
    frame = conform(read_texts(path, *schema.columns), schema, str(path))
    right = f"a line before has the same {', '.join(key)}"
    refuse(frame.duplicated(key), frame[key[-1]], right, str(path))
    return frame


def read_texts(path: Path, *needed: str) -> pd.DataFrame:
    """Reads the cells of a CSV file, plain or gzipped, as texts; the columns `needed` are there.

    Raises:
      ResultsError: the file is missing, empty or not CSV, or lacks a column or a cell.
    """
    if not path.exists():
        raise ResultsError(f"The table {path} is missing; run the workflow that makes it.")
    reader = csv.reader(read_lines(path, ResultsError), strict=True)
    try:
        header, *rows = reader
    except csv.Error as error:
        place = f"The table {path}, line {reader.line_num}"
        raise ResultsError(f"{place}, is not readable as CSV: {error}.") from error
    missing = [column for column in needed if column not in header]
    if missing and len(header) == 1 and (separator := _separator(header[0])):
        raise ResultsError(f"{path} has {separator} between its columns; save it with commas.")
    if missing:
        raise ResultsError(f"{path} lacks the column {missing[0]!r}; is it another table?")
    if len(set(header)) < len(header):
        twice = next(column for column in header if header.count(column) > 1)
        raise ResultsError(f"{path} has the column {twice!r} twice.")
    while rows and not rows[-1]:  # blank lines at the end
        rows.pop()
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ResultsError(
                f"{path}, line {line}: there are {len(row)} cells for {len(header)} columns; "
                "the line is cut off, or its cells are not separated by commas."
            )
    if not rows:
        raise ResultsError(f"The table {path} has no rows, only a header; make it again.")
    return pd.DataFrame(rows, columns=header, dtype="str")


def _separator(header: str) -> str:
    """The name of the character that separates the columns of a header without commas."""
    return "semicolons" if ";" in header else "tabs" if "\t" in header else ""


def conform(frame: pd.DataFrame, schema: pa.DataFrameSchema, name: str) -> pd.DataFrame:
    """The rows of `frame` with the schema's column order and types; texts are parsed.

    Raises:
      ResultsError: a column is missing or unknown, or a cell does not fit the schema; the message
        calls row `i` of `frame` line `i + 2`.
    """
    missing = [column for column in schema.columns if column not in frame]
    unknown = [column for column in frame if column not in schema.columns]
    if missing or unknown:
        what = f"lacks the column {missing[0]!r}" if missing else f"has a column {unknown[0]!r}"
        raise ResultsError(f"{name} {what}; its columns are {', '.join(schema.columns)}.")
    frame = frame[list(schema.columns)].reset_index(drop=True)
    for column, spec in schema.columns.items():
        frame[column] = _parsed(frame[column], spec, name)
    try:
        return schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        first = error.failure_cases.sort_values("index", kind="stable").iloc[0]
        wrong = frame.index == first["index"]
        refuse(wrong, frame[first["column"]], first["check"], name)
        raise


def refuse(wrong: pd.Series | np.ndarray, cells: pd.Series, right: str, name: str) -> None:
    """Refuses the first cell that is `wrong`, if any; `right` says what would be right.

    Raises:
      ResultsError: a cell is wrong; the message names the table, the line and the column.
    """
    if wrong.any():
        row = int(np.argmax(wrong))
        value = str(cells.iloc[row])
        raise ResultsError(f"{name}, line {row + 2}: {cells.name} is {value!r}; {right}.")


def _parsed(cells: pd.Series, spec: pa.Column, name: str) -> pd.Series:
    """A column, of texts or parsed already, in the type of `spec` (None: text)."""
    if spec.dtype is None:
        return cells.astype(str)
    dtype = str(spec.dtype)
    if dtype == "bool":
        values = cells.astype(str).map({"True": True, "False": False})
        wrong = values.isna()
    else:
        values = pd.to_numeric(cells, errors="coerce")
        further = (spec.metadata or {}).get("further", ())
        wrong = ~(values.abs() < np.inf) & ~cells.map(str).isin(further)
        if dtype == "int64":
            wrong |= (values % 1 != 0) | (values.abs() >= 2**63)
    refuse(wrong, cells, f"it must be {_NOUNS[dtype]}", name)
    return pd.Series(values, dtype=np.dtype(dtype))
