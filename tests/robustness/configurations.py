"""Configurations that `promptscale check` must refuse."""

from pathlib import Path
from typing import Any

import yaml

from tests.robustness.case import Case, command

_SMALLEST = Path(__file__).parents[1] / "workflow" / "smallest.yaml"


def _changed(key: str, value: Any, sentence: str) -> Case:
    """The smallest configuration with the value at a dotted key replaced (None: removed)."""

    def write(folder: Path) -> None:
        content = yaml.safe_load(_SMALLEST.read_text())
        *parents, last = key.split(".")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
        (folder / "bad.yaml").write_text(yaml.safe_dump(content))

    return Case(f"{key}: {value!r}", _check, sentence, write)


def _check(folder: Path) -> None:
    command("check", str(folder / "bad.yaml"))


CASES = [
    _changed("seeds", [0, 0], "seeds has a value twice"),
    _changed("prompt_tuning.prompt_lenght", 5, "did you mean 'prompt_length'"),
]
