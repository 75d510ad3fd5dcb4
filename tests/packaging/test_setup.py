"""`make setup` refuses what cannot work before pip starts, and leaves no half-made `.venv`."""

import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# A Python that says of itself what a test wants, and has a pip of the test.
FAKE = """#!{python}
import os, platform, runpy, subprocess, sys
{claims}
run = subprocess.run
def faked(command, **options):
    if "pip" in command:
        command = [sys.executable, "-c", {pip!r}]
    elif "venv" in command:
        command = [*command, "--without-pip"]
    return run(command, **options)
subprocess.run = faked
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
COUNT = "open('pip-ran', 'a').write('x')"
FAIL = f"{COUNT}; import sys; sys.exit('no such package')"


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The files that `make setup` reads, in a folder with a blank and a quote in its name."""
    folder = tmp_path / "it's here"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, folder)
    shutil.copytree(REPOSITORY / "envs", folder / "envs")
    return folder


def command(folder: Path, claims: str = "", pip: str = COUNT, *arguments: str) -> list[str]:
    """`make setup` with a fake Python."""
    python = folder.parent / "fake-python"
    python.write_text(FAKE.format(python=sys.executable, claims=claims, pip=pip))
    python.chmod(0o755)
    return ["make", "--no-print-directory", "setup", f"PYTHON={python}", *arguments]


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *arguments), cwd=folder, capture_output=True, text=True, check=False
    )


def pip_runs(folder: Path) -> int:
    return len(path.read_text()) if (path := folder / "pip-ran").exists() else 0


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ("sys.version_info = (3, 14, 0)", "needs CPython 3.11 to 3.13, and "),
        ("sys.version_info = (3, 10, 9)", "is CPython 3.10.9; give another with `make setup"),
        ("platform.python_implementation = lambda: 'PyPy'", "is PyPy 3."),
        (
            "platform.machine = lambda: 'riscv64'",
            "Linux aarch64, Darwin arm64, and this is Linux r",
        ),
        ("platform.machine = lambda: 'i686'", "and this is Linux i686"),
        ("sys.maxsize = 2**31 - 1", "with a Python of 32 bits"),
        ("platform.system = lambda: 'Windows'", "and this is Windows"),
        (
            "platform.libc_ver = lambda: ('', '')",
            "glibc 2.28 or newer, and this system",
        ),
        ("platform.libc_ver = lambda: ('glibc', '2.17')", "this system has glibc 2.17."),
        ("sys.modules['ensurepip'] = None", "has no module ensurepip"),
        (
            "sys.version_info = (3, 13, 0); os.environ['CXX'] = 'no-compiler'",
            "the package editdistance has to be compiled",
        ),
    ],
)
def test_a_machine_that_cannot_is_refused_before_pip_starts(checkout, claims, sentence):
    result = make(checkout, claims)
    assert result.returncode != 0 and sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (checkout / ".venv").exists() and pip_runs(checkout) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ACCELERATOR=cuda"], "ACCELERATOR is 'cuda'; it must be cpu, gpu or tpu."),
        (["PYTHON=python3.99"], "There is no python3.99; set PYTHON to a Python 3.11 to 3.13."),
    ],
)
def test_a_wrong_argument_is_refused(checkout, arguments, sentence):
    result = make(checkout, "", COUNT, *arguments)
    assert result.returncode != 0 and sentence in result.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("name", ['a"b', "a$b", "a{b}", "a:b", "a\tb", "a\\b", "a`b"])
def test_a_path_that_breaks_programs_is_refused(checkout, name):
    moved = checkout.rename(checkout.parent / name)
    result = make(moved)
    assert result.returncode != 0 and "The path of this checkout has" in result.stderr
    assert not (moved / ".venv").exists()


def test_a_finished_environment_is_left_alone_until_its_lock_changes(checkout):
    assert make(checkout).returncode == 0
    assert pip_runs(checkout) == 2  # the lock, and this package
    assert make(checkout).returncode == 0
    assert make(checkout, "", COUNT, "ACCELERATOR=cpu").returncode == 0
    assert pip_runs(checkout) == 2
    with (checkout / "envs/cpu.lock").open("a") as lock:
        lock.write("# changed\n")
    assert make(checkout).returncode == 0
    assert pip_runs(checkout) == 4


def test_the_accelerator_of_an_environment_stays(checkout):
    assert make(checkout, "", COUNT, "ACCELERATOR=gpu").returncode == 0
    assert make(checkout).returncode == 0
    assert pip_runs(checkout) == 2
    assert (checkout / ".venv/.promptscale").read_text().startswith("gpu ")


def test_a_failed_installation_leaves_nothing(checkout):
    result = make(checkout, "", FAIL)
    assert result.returncode != 0 and "`make setup` will begin anew" in result.stderr
    assert "Traceback" not in result.stderr and not (checkout / ".venv").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_after_an_interrupted_installation_the_next_begins_anew(checkout, number):
    started = (
        "open('.venv/left', 'w'); open('pip-ran', 'a').write('x'); import time; time.sleep(60)"
    )
    python, setup = command(checkout, "", started)[3].removeprefix("PYTHON="), "envs/setup.py"
    process = subprocess.Popen(
        [python, setup, "cpu"], cwd=checkout, stderr=subprocess.PIPE, process_group=0
    )
    while not pip_runs(checkout):
        time.sleep(0.05)
    os.killpg(process.pid, number)
    _, errors = process.communicate()
    if number == signal.SIGINT:
        assert b"(it was interrupted)" in errors and not (checkout / ".venv").exists()
    assert make(checkout).returncode == 0
    assert not (checkout / ".venv/left").exists()
    assert not (checkout / ".venv/.unfinished").exists()


def test_a_moved_checkout_gets_a_new_environment(checkout):
    assert make(checkout).returncode == 0
    moved = checkout.rename(checkout.parent / "elsewhere")
    (moved / ".venv/left").touch()
    assert make(moved).returncode == 0
    assert not (moved / ".venv/left").exists()


def test_a_vanished_python_gives_a_new_environment(checkout):
    assert make(checkout).returncode == 0
    python = checkout / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    (checkout / ".venv/left").touch()
    assert make(checkout).returncode == 0
    assert not (checkout / ".venv/left").exists() and python.exists()


def test_another_python_is_noticed_where_it_is_asked_for(checkout, monkeypatch):
    """A given PYTHON replaces the environment; the default Python does not."""
    monkeypatch.chdir(checkout)
    assert make(checkout).returncode == 0
    specification = importlib.util.spec_from_file_location("setup_script", "envs/setup.py")
    setup = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(setup)
    other = (3, 11) if sys.version_info[:2] == (3, 12) else (3, 12)
    monkeypatch.setattr(setup, "version_of_environment", lambda: other)
    installed = []
    monkeypatch.setattr(setup, "install", installed.append)
    (checkout / ".venv/left").touch()
    setup.main("cpu", python_is_given=False)
    assert not installed and (checkout / ".venv/left").exists()
    setup.main("cpu", python_is_given=True)
    assert installed == ["cpu"] and not (checkout / ".venv/left").exists()


def test_an_environment_of_somebody_else_is_not_deleted(checkout):
    (checkout / ".venv").mkdir()
    (checkout / ".venv/precious").touch()
    result = make(checkout)
    assert result.returncode != 0 and "`make setup` did not make it" in result.stderr
    assert (checkout / ".venv/precious").exists()


def test_the_readme_names_what_the_setup_accepts():
    readme = (REPOSITORY / "README.md").read_text()
    assert "Python 3.11 to 3.13" in readme and "glibc 2.28" in readme
    assert platform.system() != "Linux" or platform.libc_ver()[0] == "glibc"
