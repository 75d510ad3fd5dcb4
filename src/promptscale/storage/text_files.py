"""The lines of text files, plain or gzipped: every reader of a user's text file starts here."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from promptscale.errors import PromptscaleError
from promptscale.storage.contents import recognize_foreign
from promptscale.storage.reasons import reason

_MARK = b"\xef\xbb\xbf"  # UTF-8's byte order mark
_GZIP = b"\x1f\x8b"


def read_lines(path: Path, error: type[PromptscaleError]) -> Iterator[str]:
    """The lines of a UTF-8 file, gzipped or not, with their line feeds.

    A byte order mark is skipped. Only a line feed ends a line, as texts may hold other separators.

    Raises:
      PromptscaleError: as `error`: the file is missing, empty, unreadable, damaged, not UTF-8, or
        evidently of another kind; the message names the file, and the line where one is wrong.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == _GZIP
            lines = gzip.GzipFile(fileobj=raw) if packed else raw
            for number, line in enumerate(lines, 1):
                if number == 1:
                    if kind := recognize_foreign(line):
                        raise error(f"{path} cannot be read as text: {kind}.")
                    line = line.removeprefix(_MARK)
                yield line.decode("utf-8")
    except FileNotFoundError:
        raise error(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise error(f"{path} is a folder; give the path of a file.") from None
    except UnicodeDecodeError as cause:
        raise error(f"{path}, line {number}: the text is not UTF-8; convert the file.") from cause
    except (EOFError, zlib.error, gzip.BadGzipFile) as cause:
        raise error(f"{path} is damaged after line {number}: its gzip data end there.") from cause
    except OSError as cause:
        raise error(f"{path} cannot be read: {reason(cause)}.") from cause
    if not number:
        raise error(f"{path} is empty.")
