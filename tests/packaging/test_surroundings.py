"""Snakemake and its jobs work where the path, the user or the home folder is unusual."""

import getpass
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from snakemake_logger_plugin_promptscale.home import provide_home

REPOSITORY = Path(__file__).parents[2]
VOCABULARY = "results/real/vocabulary/sentencepiece.model"
NAMES = ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "LOGNAME")


@pytest.fixture
def clean(tmp_path, monkeypatch):
    """An environment without the variables that are set, and an empty working directory."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_a_home_that_can_be_written_is_used(clean, tmp_path):
    clean.setenv("HOME", str(tmp_path))
    provide_home()
    assert "XDG_CACHE_HOME" not in os.environ and not list(tmp_path.iterdir())


def test_caches_go_below_the_working_directory_where_there_is_no_home(clean, tmp_path):
    clean.setenv("HOME", "/nonexistent")
    provide_home()
    folder = tmp_path / ".snakemake/home"
    assert folder.is_dir()
    assert [os.environ[name] for name in NAMES[:3]] == [str(folder)] * 3


def test_a_home_that_can_only_be_read_stays_home(clean, tmp_path):
    clean.setenv("HOME", "/usr")
    clean.setattr(os, "access", lambda *_: False)
    provide_home()
    assert os.environ["HOME"] == "/usr"
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / ".snakemake/home")


def test_an_unknown_user_gets_a_name(clean):
    def unknown():
        if "LOGNAME" not in os.environ:
            raise KeyError("getpwuid(): uid not found: 12345")
        return os.environ["LOGNAME"]

    clean.setattr(getpass, "getuser", unknown)
    provide_home()
    assert getpass.getuser() == f"user{os.getuid()}"


def copy_checkout(folder: Path) -> None:
    """Copies what a workflow needs of the repository, and links to this environment."""
    folder.mkdir()
    for name in ("Snakefile", "local"):
        shutil.copy(REPOSITORY / name, folder / name, follow_symlinks=False)
    for name in ("config", "envs", "profiles", "src", "workflow"):
        shutil.copytree(REPOSITORY / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix).absolute())
    (folder / "pieces.model").write_bytes(b"a vocabulary")
    content = yaml.safe_load((REPOSITORY / "config/real.yaml").read_text())
    content["data"] |= {"vocabulary": "pieces.model"}
    (folder / "experiment.yaml").write_text(yaml.safe_dump(content))


def run_job(folder: Path) -> subprocess.CompletedProcess[str]:
    """Lets Snakemake copy the vocabulary, without a home and with another locale than UTF-8."""
    command = [".venv/bin/python", "-m", "snakemake", "--profile", "local"]
    command += ["--configfile", "experiment.yaml", "--", VOCABULARY]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "POSIX"}
    environment["PYTHONPATH"] = str(folder / "src")
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.slow
def test_a_checkout_with_a_blank_a_quote_and_a_foreign_letter_in_its_path(tmp_path):
    folder = tmp_path / "it's my wörk"
    copy_checkout(folder)
    result = run_job(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (folder / VOCABULARY).read_bytes() == b"a vocabulary"
    assert list((folder / ".snakemake/home").iterdir())


@pytest.mark.slow
def test_a_checkout_with_a_brace_in_its_path_is_refused(tmp_path):
    folder = tmp_path / "a{b}"
    copy_checkout(folder)
    result = run_job(folder)
    assert result.returncode == 1 and "has a brace in it" in result.stderr
    assert "Traceback" not in result.stderr and not (folder / "results/real").exists()
