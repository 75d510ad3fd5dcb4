"""With `--sdm conda`, every rule finds its environment."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SMALLEST = REPOSITORY / "tests/workflow/smallest.yaml"
# Answers what Snakemake asks of conda before it plans environments.
CONDA = """#!/bin/sh
case "$*" in
*info*) echo '{"conda_version": "25.1.0", "conda_prefix": "/nowhere", "platform": "linux-64"}' ;;
*config*) echo '{"get": {"channel_priority": "strict"}}' ;;
*) echo "conda 25.1.0" ;;
esac
"""


def with_conda(folder: Path) -> dict[str, str]:
    """Environment variables with which Snakemake finds a program `conda` in the folder."""
    program = folder / "bin/conda"
    program.parent.mkdir(exist_ok=True)
    program.write_text(CONDA)
    program.chmod(0o755)
    return os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def planned_environments(folder: Path, *arguments: str) -> set[str]:
    """The environments that a dry run would create."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--directory", folder, "--configfile", SMALLEST, "--dry-run", "--sdm", "conda"]
    result = subprocess.run(
        [*command, "--cores", "1", *arguments, "--", "all"],
        capture_output=True, text=True, env=with_conda(folder), check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    lines = (result.stdout + result.stderr).splitlines()
    return {
        Path(line.split()[2]).name
        for line in lines
        if line.startswith("Conda environment ") and line.endswith(" will be created.")
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cpu", "gpu", "tpu"])
def test_jobs_that_compute_with_a_model_get_the_environment_of_their_machine(kind, tmp_path):
    planned = planned_environments(tmp_path, "--config", f"environment={kind}")
    assert planned == {"cpu.yaml", f"{kind}.yaml"}


def test_an_unknown_environment_is_a_sentence(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "-n"]
    command += ["--directory", tmp_path, "--configfile", SMALLEST, "--config", "environment=gnu"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "`environment` is 'gnu'; it must be cpu, gpu or tpu." in result.stdout + result.stderr


@pytest.mark.parametrize("kind", ["cpu", "gpu", "tpu"])
def test_every_environment_installs_its_lock(kind):
    """The conda file brings Python alone; the script beside it names a lock that exists."""
    script = (REPOSITORY / f"envs/{kind}.post-deploy.sh").read_text()
    lock = (REPOSITORY / f"envs/{kind}.lock").read_bytes()
    checksum = hashlib.sha256(lock).hexdigest()  # `make lock` writes it
    assert script.splitlines()[-1] == f"bash envs/install.sh {kind} {checksum}"
    assert (REPOSITORY / f"envs/{kind}.yaml").is_file()


def test_a_changed_lock_gives_a_new_environment(tmp_path):
    """Snakemake names an environment by its file and its script, which has the lock's checksum."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("cpu.yaml", "cpu.post-deploy.sh"):
        shutil.copy(REPOSITORY / "envs" / name, folder)
    (folder / "Snakefile").write_text(
        'rule work:\n    output: "done"\n    conda: "cpu.yaml"\n    shell: "true"\n'
    )
    script = folder / "cpu.post-deploy.sh"
    names = []
    for content in (script.read_text(), script.read_text().replace("cpu ", "cpu 0"), None):
        if content:
            script.write_text(content)
        options = ["--list-conda-envs", "--sdm", "conda", "--cores", "1"]
        result = subprocess.run(
            [sys.executable, "-m", "snakemake", "--directory", folder, *options, "done"],
            capture_output=True, text=True, env=with_conda(tmp_path), cwd=folder, check=True,
        )  # fmt: skip
        names += re.findall(r"conda/(\w+)", result.stdout)
    assert len(names) == 3 and names[0] != names[1] == names[2]
