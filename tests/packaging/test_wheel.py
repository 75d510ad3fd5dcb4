"""The wheel works without the checkout: it is built, installed and used from an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A fresh environment's folder of programs: the wheel, and the packages of the tests' lock."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
    shutil.copytree(REPOSITORY / "src", source / "src", ignore=ignored)
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    build = [sys.executable, "-m", "pip", "wheel", *options, "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, source], check=True, cwd=folder)
    shutil.rmtree(source)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "environment", with_pip=False, symlinks=True)
    python = folder / "environment/bin/python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", *options]
    subprocess.run([*install, wheel], check=True, cwd=folder)
    # A folder on the search path brings its packages, but not what its .pth files refer to: the
    # checkout's editable installation is such a file.
    packages = folder / f"environment/lib/python{sysconfig.get_python_version()}/site-packages"
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


@pytest.fixture
def run(installed, tmp_path):
    """Runs a program of the environment in an empty folder and returns what it prints."""

    def call(program: str, *arguments: str) -> str:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [installed / program, *arguments]
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return call


@pytest.mark.parametrize(
    "module",
    [
        "promptscale",
        "promptscale.experiments.tuning",
        "promptscale.reporting.figures.registry",
        "promptscale.tpu.dispatcher",
        "promptscale.data.raw.prepare_tasks",
        "snakemake_executor_plugin_tpu_vm",
        "snakemake_logger_plugin_promptscale",
    ],
)
def test_modules_come_from_the_wheel(run, installed, module):
    statements = f"import sys, {module}; print({module}.__file__); print(sys.path)"
    file, path = run("python", "-c", statements).splitlines()
    assert Path(file).is_relative_to(installed.parent)
    assert str(REPOSITORY / "src") not in path


def test_the_command_describes_itself(run):
    assert "Usage: promptscale" in run("promptscale", "--help")


def test_a_plain_installation_needs_neither_snakemake_nor_tensorflow(run):
    """Every module can be imported without the extras, except those that read raw data."""
    statements = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys(["snakemake", "tensorflow", "tensorflow_datasets", "seqio", "t5"]))
import promptscale
names = [module.name for module in pkgutil.walk_packages(promptscale.__path__, "promptscale.")]
for name in names:
    if not name.startswith("promptscale.data.raw.") and not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names) > 80)
"""
    assert run("python", "-c", statements).strip() == "True"


def test_the_wheel_has_the_extras_that_the_manual_names(run):
    """README.md names the extras, and the metadata has their packages."""
    statements = (
        "from importlib.metadata import metadata;"
        "print(*sorted(metadata('promptscale').get_all('Provides-Extra')))"
    )
    extras = run("python", "-c", statements).split()
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert extras and all(f"`{extra}`" in readme for extra in extras)


def test_parameters_are_counted(run):
    options = ("--size", "xxl", "--prompt-length", "50", "--json")
    counts = json.loads(run("promptscale", "parameters", *options))
    assert counts["trainable"] == 50 * 4096


@pytest.mark.parametrize("name", ["miniature", "paper"])
def test_a_configuration_is_checked_and_planned(run, name, tmp_path):
    shutil.copy(REPOSITORY / f"config/{name}.yaml", tmp_path / "experiment.yaml")
    assert "experiment.yaml is valid" in run("promptscale", "check", "experiment.yaml")
    plan = json.loads(run("promptscale", "plan", "--config", "experiment.yaml", "--json"))
    assert plan["cost"]["by_kind"] and plan["jobs"]["all"] == 1


def test_every_file_of_the_sources_is_installed(run):
    """Python files and the data that they read: recorded numbers, accelerators, start-up script."""
    statements = "import promptscale; print(promptscale.__path__[0])"
    packages = Path(run("python", "-c", statements).strip()).parent
    patterns = ("*.py", "*.csv", "*.sh", "*.yaml", "py.typed")
    sources = [path for pattern in patterns for path in (REPOSITORY / "src").rglob(pattern)]
    relative = [path.relative_to(REPOSITORY / "src") for path in sources]
    assert len(relative) > 100
    assert not [str(path) for path in relative if not (packages / path).is_file()]
