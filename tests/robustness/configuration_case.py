"""Bad configurations: the smallest configuration with a fault, or a file of any content."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.robustness.case import Case, command

SMALLEST = Path(__file__).parents[1] / "workflow" / "smallest.yaml"
LAYERS = {
    "d_model": 4,
    "num_heads": 1,
    "d_ff": 8,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
}


def changed(key: str, value: Any, sentence: str, **others: Any) -> Case:
    """The smallest configuration with the value at a dotted key replaced (`...`: removed).

    `others` are replaced too, with `__` for the dots of a key.
    """

    def write(folder: Path) -> None:
        content = json.loads(json.dumps(yaml.safe_load(SMALLEST.read_text())))  # no aliases
        changes = {name.replace("__", "."): other for name, other in others.items()}
        for name, new in {**changes, key: value}.items():
            *parents, last = name.split(".")
            place = content
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = new
            if new is ...:
                del place[last]
        (folder / "bad.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    shown = str(value) if len(str(value)) < 80 else f"{str(value)[:80]} ..."
    further = f" with {', '.join(others)}" if others else ""
    return Case(f"{key}: {shown}{further}", check, sentence, write)


def written(name: str, content: str | bytes, sentence: str) -> Case:
    """A file with this content."""
    data = content.encode() if isinstance(content, str) else content
    return Case(name, check, sentence, lambda folder: _put(folder / "bad.yaml", data))


def line(name: str, value: str, sentence: str) -> Case:
    """The smallest configuration and in line 2 a key `added` with this text as its value."""
    content = f"# A first line.\nadded: {value}\n{SMALLEST.read_text()}"
    return written(name, content, sentence)


def real(data: dict[str, Any], sentence: str) -> Case:
    """The smallest configuration with real data."""
    return changed("data", REAL | data, sentence, origin="real")


def _put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def check(folder: Path) -> None:
    command("check", str(folder / "bad.yaml"))


# Real data without a fault; the files are in the folder of the configuration.
REAL = {"vocabulary": "bad.yaml", "local_files": "."}
