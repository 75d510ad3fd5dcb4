"""Copies the log of a job from the bucket to the rule's log file while the job runs."""

import contextlib
import itertools
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from promptscale.storage.store import Store
from promptscale.tpu.protocol import log_key

log = logging.getLogger(__name__)

_PIECES_AT_ONCE = 2


class LogCopy:
    """The rule's log file: the logs of host 0 in all attempts of a job, one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._attempt: str | None = None
        self._pieces = 0  # of the attempt's log that have been copied

    def begin(self, attempt: str) -> None:
        """Copies the log of this attempt from now on; the first attempt empties the file."""
        if self._attempt is None:
            with _log_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.write_bytes(b"")
        self._attempt, self._pieces = attempt, 0

    def next_keys(self) -> list[str]:
        """The keys of the next pieces of the log in the bucket."""
        numbers = range(self._pieces, self._pieces + _PIECES_AT_ONCE)
        return [log_key(self._attempt, 0, number) for number in numbers] if self._attempt else []

    def append(self, contents: Mapping[str, bytes | None]) -> bool:
        """Appends the next pieces, as far as `contents` has them; whether it has all of them."""
        keys = self.next_keys()
        pieces = [*itertools.takewhile(bool, (contents.get(key) for key in keys))]
        self._append(b"".join(filter(None, pieces)))
        self._pieces += len(pieces)
        return bool(keys) and len(pieces) == len(keys)

    def append_rest(self, store: Store) -> None:
        """Appends all pieces that are in the bucket."""
        while self.append(store.read_many(self.next_keys())):
            pass

    def ends_with(self, text: str) -> bool:
        """Whether the log file ends with a text."""
        content = self._path.read_bytes() if self._path.is_file() else b""
        return content.decode(errors="replace").endswith(text)

    def append_note(self, title: str, text: str = "") -> None:
        """Appends a line that is not from the job's log, and a text below it."""
        if self._attempt is not None:
            self._append(f"--- {title} ---\n{text}".encode())

    def _append(self, content: bytes) -> None:
        if content:
            with _log_errors(self._path), self._path.open("ab") as file:
                file.write(content)


@contextlib.contextmanager
def _log_errors(path: Path) -> Iterator[None]:
    """Logs why a log file cannot be written; its job continues."""
    try:
        yield
    except OSError as error:
        log.warning("The log %s cannot be written: %s.", path, error.strerror)
