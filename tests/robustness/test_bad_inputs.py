"""Every bad input of the tables ends in a sentence, and leaves no file behind."""

import collections
import re
from pathlib import Path

import pytest

from tests.robustness import (
    checkpoints,
    commands,
    configuration_files,
    configurations,
    conversions,
    data,
    events,
    prepared,
    prompting,
    prompts,
    results,
)
from tests.robustness.case import Case, message_of

TABLES = (
    configurations,
    configuration_files,
    checkpoints,
    prompts,
    data,
    prepared,
    results,
    commands,
    prompting,
    conversions,
    events,
)
CASES = [case for table in TABLES for case in table.CASES]


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_input_ends_in_one_sentence(case: Case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case.write(tmp_path)
    before = _files(tmp_path)
    message = message_of(case.use, tmp_path)
    (line,) = message.splitlines()
    assert re.search(case.sentence, line), line
    assert line.endswith((".", "?")) and "Traceback" not in line
    assert not re.search(r"\bpydantic\b|\bTuple\b|Input should|<class '|NoneType", line), line
    assert _files(tmp_path) == before


def test_case_names_are_unique():
    counts = collections.Counter(case.name for case in CASES)
    assert [name for name, count in counts.items() if count > 1] == []
