"""docs/troubleshooting.md quotes messages that exist, and names keys that exist."""

import re

import pytest

from tests.docs.pages import REPOSITORY
from tests.docs.test_docs import ALL, code

PAGE = (REPOSITORY / "docs/troubleshooting.md").read_text(encoding="utf-8")
SOURCES = "".join(file.read_text("utf-8") for file in (REPOSITORY / "src").rglob("*.py"))


@pytest.mark.parametrize("quoted", re.findall(r'^\|[^|"]*"([^"|]+)"', PAGE, re.MULTILINE))
def test_a_quoted_message_is_in_the_source(quoted):
    assert quoted in SOURCES


def test_there_are_quoted_messages():
    assert len(re.findall(r'^\|[^|"]*"', PAGE, re.MULTILINE)) > 6


def test_keys_exist():
    """A key is written with its section, or alone; capitals stand for a value."""
    spans = [span.split(":")[0] for span in code(PAGE)]
    keys = {span for span in spans if re.fullmatch(r"[a-z_]+(\.[a-zA-Z_]+)+", span)}
    keys = {
        re.sub(r"\.SIZE\b", "", key)
        for key in keys
        if key.split(".")[0] in {k.split(".")[0] for k in ALL}
    }
    assert len(keys) > 8
    assert not {key for key in keys if key not in ALL}
