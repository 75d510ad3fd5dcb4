"""The log of an attempt survives the next attempt, and a success ends the log."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from promptscale.storage.attempt_log import close_log, open_log

SCRIPT = """
import os, sys
from pathlib import Path
from promptscale.workflow_script import script_setup

with script_setup(snakemake):
    print("try", Path("tries").read_text(), flush=True)
    match Path("tries").read_text():
        case "killed":
            os.kill(os.getpid(), 9)
        case "refused":
            from promptscale.errors import DataError
            raise DataError("the data are bad")
    Path(snakemake.output[0]).write_text("done")
"""
SNAKEFILE = """
rule work:
    output: "done"
    log: "logs/a/work.log"
    script: "work.py"
"""


def test_killed_and_refused_attempts_stay_in_the_log_that_snakemake_deletes(tmp_path):
    (tmp_path / "work.py").write_text(SCRIPT)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--rerun-incomplete", "done"]
    log = tmp_path / "logs/a/work.log"
    for number, (name, status) in enumerate([("killed", 1), ("refused", 1), ("good", 0)], 1):
        (tmp_path / "tries").write_text(name)
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert result.returncode == status
        titles = re.findall(r"--- attempt (\d+), .* UTC, process \d+ on ", log.read_text())
        assert titles == [str(n + 1) for n in range(number)]
    assert re.findall(r"^try (\w+)$", log.read_text(), re.MULTILINE) == [
        "killed", "refused", "good",
    ]  # fmt: skip
    assert "work: the data are bad" in log.read_text()
    assert [path.name for path in log.parent.iterdir()] == ["work.log"] and not log.is_symlink()


@pytest.fixture
def attempt(tmp_path):
    """Makes an attempt that writes a text, after the log was deleted as Snakemake does."""
    log = tmp_path / "logs" / "job.log"

    def write(text: str) -> Path:
        log.unlink(missing_ok=True)
        opened = open_log(log)
        os.write(opened, text.encode())
        os.close(opened)
        return log

    return write


def test_a_success_begins_a_new_log(attempt):
    close_log(attempt("first\n"))
    log = attempt("second\n")
    assert "first" not in log.read_text() and "attempt 1," in log.read_text()


def test_a_log_does_not_grow_without_end(attempt):
    for number in range(4):
        log = attempt(f"begin {number}\n" + "x" * 2**20 + f"\nend {number}\n")
    text = log.read_text()
    assert len(text) < 2 * 2**20
    assert "end 2" in text and "end 3" in text and "begin 3" in text and "begin 2" not in text


def test_a_log_that_a_host_reads_is_continued(tmp_path):
    log = tmp_path / "job.log"
    log.write_text("before the script\n")
    os.close(open_log(log))
    close_log(log)
    assert log.read_text().startswith("before the script\n--- attempt 1")
    assert list(tmp_path.iterdir()) == [log]
