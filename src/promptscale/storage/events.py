"""The event file of a job: what the job does, as JSON lines, while it does it.

A log record that carries an event (`log.info("saved", extra=event("saved", step=100))`) becomes a
line of the event file, and the log has the record's text. So nothing is written in two ways, and
library code needs to know neither file. docs/progress.md lists the events and their fields.
"""

import contextlib
import json
import logging
import math
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from promptscale.errors import StorageError
from promptscale.storage.store import Store, open_parent

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Event = dict[str, Any]  # `event`, `time` (seconds since 1970) and the event's fields

ALIVE_SECONDS = 10.0  # a job without another event says that it is alive
LARGEST = 2**18  # bytes of an event file; of more, a part of the older lines is left out
ENDS = ("finished", "failed")
_LOCAL_SECONDS, _BUCKET_SECONDS = 1.0, 10.0  # between two writes
_BEGINNINGS = ("started", "job")  # lines that stay longest


def event(name: str, **fields: Any) -> dict[str, Event]:
    """The `extra` of a log record that is an event; values are JSON's or NumPy's scalars."""
    return {"event": {"event": name, **fields}}


class Pace:
    """Says when something is due that should happen at most once in some seconds."""

    def __init__(self, seconds: float = 5.0) -> None:
        """The first is due after `seconds`."""
        self._seconds, self._last = seconds, time.monotonic()

    def due(self) -> bool:
        """Whether the seconds have passed since this was last true."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def counted(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Gives the items, and records now and then how many it gave: the event `preparing`."""
    pace = Pace()
    log.info("preparing %s", what, extra=event("preparing", what=what, done=0))
    for number, item in enumerate(items, 1):
        yield item
        if pace.due():
            text = "preparing %s: %d so far"
            log.info(text, what, number, extra=event("preparing", what=what, done=number))


class EventFile(logging.Handler):
    """Writes the events among the log records of this process to a file, local or in a bucket.

    The lines of earlier attempts stay until an attempt has finished; the line `started` begins an
    attempt. A thread writes the whole file, atomically: a file in a bucket cannot grow. It also
    writes the line `alive`. An event file that cannot be written is a warning: the job goes on.
    """

    def __init__(self, location: str, **started: Any) -> None:
        """Begins an attempt, with the fields of its line `started`."""
        super().__init__()
        self._location, self._warned, self._changed = location, False, True
        self._store, self._key = open_parent(location)
        self._lines: list[Event] = []
        with self._warnings():
            self._lines = read_events(self._store, self._key)
        if self._lines and self._lines[-1]["event"] == "finished":
            self._lines = []
        attempt = 1 + sum(line["event"] == "started" for line in self._lines)
        self._access = threading.Lock()  # of the lines
        self._closed = threading.Event()
        self.record("started", attempt=attempt, **started)
        self._write()
        self._thread = threading.Thread(target=self._keep_written, daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Records the event of a log record that has one."""
        if isinstance(fields := getattr(record, "event", None), dict):
            self.record(**fields)

    def record(self, event: str, **fields: Any) -> None:
        """Adds a line."""
        with self._access:
            # An earlier attempt keeps the time of its last sign of life.
            if event != "started" and self._lines[-1]["event"] == "alive":
                self._lines.pop()
            now = round(time.time(), 3)
            self._lines.append({"event": event, "time": now, **_plain(fields)})
            self._changed = True

    def close(self) -> None:
        """Writes what is not yet written, and ends the thread."""
        if not self._closed.is_set():
            self._closed.set()
            self._thread.join()
            self._write()
        super().close()

    def _keep_written(self) -> None:
        seconds = _BUCKET_SECONDS if self._location.startswith("gs://") else _LOCAL_SECONDS
        while not self._closed.wait(seconds):
            if time.time() - self._lines[-1]["time"] >= ALIVE_SECONDS:
                self.record("alive")
            self._write()

    def _write(self) -> None:
        with self._access:
            if not self._changed:
                return
            self._lines, content = _bounded(self._lines)
            self._changed = False
        with self._warnings():
            self._store.write(self._key, content)

    @contextlib.contextmanager
    def _warnings(self) -> Iterator[None]:
        """Logs the first error of the event file."""
        try:
            yield
        except StorageError as error:
            if not self._warned:
                log.warning("%s The job goes on without telling its progress.", error)
            self._warned = True


def read_events(store: Store, key: str) -> list[Event]:
    """The events of a file; none if there is no file.

    Raises:
      StorageError: the file cannot be read, or a line is no event.
    """
    return parse_events(store.read(key), f"{store.location}/{key}")


def parse_events(content: bytes | None, place: str) -> list[Event]:
    """The events in the content of the file at `place`; a last line without its end is left out.

    Raises:
      StorageError: a line is no event.
    """
    lines = (content or b"").decode(errors="replace").split("\n")[:-1]
    return [_parsed(line, f"{place}, line {number}") for number, line in enumerate(lines, 1)]


def _parsed(line: str, place: str) -> Event:
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(line)
        if isinstance(value, dict) and isinstance(value.get("event"), str):
            seconds = value.get("time")
            if isinstance(seconds, int | float) and math.isfinite(seconds):
                return value
    raise StorageError(
        f"{place}: this is no event of a job; delete the file, which changes no result."
    )


def _bounded(lines: list[Event]) -> tuple[list[Event], bytes]:
    """The lines and their text; if the text is too large, the older half loses details.

    The beginnings of the latest attempt stay, however large they are: a job may have many runs.
    So do the last two lines after them.
    """
    latest = [
        next((line for line in reversed(lines) if line["event"] == name), None)
        for name in _BEGINNINGS
    ]
    limit = max(LARGEST, 2 * sum(len(json.dumps(line)) for line in latest))
    while True:
        content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        if len(content) <= limit:
            return lines, content
        middle = (len(lines) + 1) // 2
        older = _shorter(lines[:middle], latest)
        if len(older) == middle:
            return lines, content
        lines = older + lines[middle:]


def _shorter(lines: list[Event], latest: list[Event | None]) -> list[Event]:
    """Every second line, and all beginnings of attempts; if there are only these, the latest."""
    beginnings = [line for line in lines if line["event"] in _BEGINNINGS]
    if len(beginnings) == len(lines):
        return [line for line in lines if any(line is begun for begun in latest)]
    rest = [line for line in lines if line["event"] not in _BEGINNINGS][1::2]
    return sorted([*beginnings, *rest], key=lambda line: line["time"])


def _plain(value: Any) -> Any:
    """A value of JSON's types; a number that is not finite becomes None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
