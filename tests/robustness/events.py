"""Event files and folders of states that must be refused."""

from pathlib import Path

from promptscale.storage.events import read_events
from promptscale.storage.store import open_parent
from tests.robustness.case import Case, command

_SMALLEST = str(Path(__file__).parents[1] / "workflow" / "smallest.yaml")
_STARTED = b'{"event": "started", "time": 1.0}\n'


def _event(what: str, line: bytes) -> Case:
    """An event file whose second line is wrong."""
    return Case(
        f"events: {what}",
        lambda folder: read_events(*open_parent(str(folder / "job.jsonl"))),
        r"job.jsonl, line 2: this is no event of a job; delete the file",
        lambda folder: (folder / "job.jsonl").write_bytes(_STARTED + line + b"\n"),
    )


def _folder(what: str, state: str, sentence: str) -> Case:
    """A folder of states that `promptscale status` cannot read."""
    use = lambda folder: command("status", "--config", _SMALLEST, "--state", state)  # noqa: E731
    return Case(f"status: {what}", use, sentence)


CASES = [
    _event("bytes", b"\x00\xff"),
    _event("blank", b""),
    _event("a list", b"[]"),
    _event("cut off", b'{"event": "step", "ti'),
    _event("no time", b'{"event": "step"}'),
    _event("a time in words", b'{"event": "step", "time": "noon"}'),
    _event("no finite time", b'{"event": "step", "time": NaN}'),
    _event("no name", b'{"time": 1.0}'),
    _event("deep", b"[" * 100_000),
    _folder("another scheme", "s3://bucket/state", "a location is a local path or gs://"),
    _folder("no bucket", "gs://B/state", "names no bucket"),
    Case(
        "status: a folder that cannot be read",
        lambda folder: command("status", "--config", _SMALLEST),
        "cannot be read: Too many levels of symbolic links",
        lambda folder: (folder / "results").symlink_to("results"),
    ),
    _folder("blanks", " state", "is no location"),
]
