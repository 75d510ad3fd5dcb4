"""Tidy CSV tables, read against a schema."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa

from promptscale.errors import ResultsError

_NOUNS = {"int64": "a whole number", "float64": "a number", "bool": "True or False"}


def choice(values: Iterable[str]) -> pa.Column:
    """A column of these texts."""
    listed = ", ".join(value or "empty" for value in values)
    return pa.Column(None, pa.Check.isin(list(values), error=f"it must be one of {listed}"))


def at_least_zero(dtype: str) -> pa.Column:
    """A column of numbers that are not negative."""
    return pa.Column(dtype, pa.Check.ge(0, error="it must be 0 or more"))


def read(path: Path, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Reads a CSV file whose columns are those of `schema`, in any order.

    Raises:
      ResultsError: the file is missing, empty, not CSV, or a cell does not fit the schema; the
        message names file, line and column.
    """
    return conform(read_texts(path), schema, str(path))


def read_texts(path: Path) -> pd.DataFrame:
    """Reads the cells of a CSV file as texts.

    Raises:
      ResultsError: the file is missing, empty or not CSV.
    """
    if not path.is_file():
        raise ResultsError(f"The table {path} is missing; run the workflow that makes it.")
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        frame = pd.DataFrame()
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ResultsError(f"The table {path} is not readable as CSV: {error}.") from error
    if frame.empty:
        raise ResultsError(f"The table {path} has no rows; make it again.")
    return frame


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
        frame[column] = _parsed(frame[column], spec.dtype, name)
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


def _parsed(texts: pd.Series, wanted: object, name: str) -> pd.Series:
    """A column parsed to the type `wanted` (None: text), unless it has this type already."""
    if wanted is None:
        return texts.astype(str)
    dtype = str(wanted)
    if str(texts.dtype) == dtype:
        return texts
    if dtype == "bool":
        values = texts.map({"True": True, "False": False})
        wrong = values.isna()
    else:
        values = pd.to_numeric(texts, errors="coerce")
        wrong = values.isna() & (texts.astype(str) != "nan")
        if dtype == "int64":
            wrong |= values.isna() | (values % 1 != 0)
    refuse(wrong, texts, f"it must be {_NOUNS[dtype]}", name)
    return pd.Series(values, dtype=np.dtype(dtype))
