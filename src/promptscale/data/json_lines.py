"""Files of JSON objects, one per line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promptscale.errors import DataError
from promptscale.storage.text_files import read_lines


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file, each with its place `PATH, line N`; blank lines are skipped.

    Raises:
      DataError: the file cannot be read, or a line is not a JSON object.
    """
    return ((place, parse_object(place, line)) for place, line in read_places(path))


def read_places(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a file that are not blank, each with its place `PATH, line N`.

    Raises:
      DataError: the file cannot be read (`promptscale.storage.text_files`).
    """
    for number, line in enumerate(read_lines(path, DataError), 1):
        if line.strip():
            yield f"{path}, line {number}", line


def parse_object(place: str, text: str) -> dict[str, Any]:
    """The object of a JSON text that is at `place`.

    Raises:
      DataError: the text is not a JSON object, or a string in it has half of a surrogate pair.
    """
    try:
        value = json.loads(text)
        if r"\u" in text:  # only an escape can be half of a surrogate pair
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: a text has half of a surrogate pair (such as \\ud83d), which is no "
            "character; write both halves or neither."
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: the text is not JSON, or it is cut off.") from error
    if not isinstance(value, dict):
        raise DataError(f"{place}: the text is not a JSON object in braces, such as {{...}}.")
    return value
