"""Every link between documents leads somewhere, and every page is in the site."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import PAGES, REPOSITORY, anchors, prose

NAMES = [str(page.relative_to(REPOSITORY)) for page in PAGES]


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_and_anchors(name):
    page = REPOSITORY / name
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), f"{name} links to {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{name} links to {link}"


def navigation(entries: list) -> list[str]:
    """The pages of a list of MkDocs' `nav`."""
    pages = []
    for entry in entries:
        (value,) = entry.values()
        pages += navigation(value) if isinstance(value, list) else [value]
    return pages


def site() -> dict:
    # Tags of MkDocs, such as that of a Python name, are of no interest here.
    return yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))


def test_every_document_is_in_the_navigation_once():
    """Pages are below website/, which has links to the files of the repository."""
    pages = navigation(site()["nav"])
    documents = {f"docs/{page.name}" for page in (REPOSITORY / "docs").glob("*.md")}
    assert sorted(pages) == sorted(set(pages)) and documents <= set(pages)
    for page in pages:
        assert (REPOSITORY / page).is_file()
        assert (REPOSITORY / "website" / page).resolve() == (REPOSITORY / page).resolve()


def test_the_site_has_no_copies():
    """Every file of website/ is a link into the repository."""
    folder = REPOSITORY / "website"
    entries = [path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()]
    assert entries and all(
        path.is_symlink() or (folder / "docs") in path.parents for path in entries
    )


def test_the_site_builds(tmp_path):
    """MkDocs is strict: a link that leads nowhere is an error."""
    mkdocs = REPOSITORY / ".venv-docs/bin/mkdocs"
    if not mkdocs.exists():
        pytest.skip("MkDocs is not installed (`make docs` installs it)")
    command = [mkdocs, "build", "--strict", "--site-dir", tmp_path / "site"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    index = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert "Quick start" in index and Path(tmp_path, "site/docs/api.html").is_file()
