"""The documents of the repository as texts, links and blocks of code."""

import re
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
FOLDERS = ("config", "docs", "figures", "results", "src", "tests")
PAGES = sorted(
    page
    for pattern in ("*.md", *(f"{folder}/**/*.md" for folder in FOLDERS))
    for page in REPOSITORY.glob(pattern)
)


class Block(NamedTuple):
    """A fenced block of code: its language, the file that its title names, and its text."""

    language: str
    title: str
    text: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page."""
    parts = re.findall(
        r'^```(\w*)(?: title="([^"\n]*)")?\n(.*?)^```$', text, re.DOTALL | re.MULTILINE
    )
    return [Block(*groups) for groups in parts]


def prose(text: str) -> str:
    """A page without its fenced and indented blocks and its code spans."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(?: {4}|\t)(?! *[-*\d]).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)


def sections(text: str) -> dict[str, str]:
    """The sections of the second level, by title."""
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and Python-Markdown name them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M), re.M)
    plain = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"\s", "-", heading) for heading in plain}


def edited(source: str, block: str) -> str:
    """A file after the change that a block of the language `diff` shows.

    Raises:
      ValueError: the lines that a part of the change begins from are not there exactly once.
    """
    for part in re.split(r"^@@\n", block, flags=re.MULTILINE):
        lines = part.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        if f"\n{source}".count(f"\n{before}") != 1:
            raise ValueError(f"These lines are not there exactly once:\n{before}")
        source = f"\n{source}".replace(f"\n{before}", f"\n{after}")[1:]
    return source
