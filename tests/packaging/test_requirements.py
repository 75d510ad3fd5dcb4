"""What is imported is declared, what is declared is used, and the locks satisfy both."""

import ast
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
OURS = {"promptscale", "snakemake_executor_plugin_tpu_vm", "snakemake_logger_plugin_promptscale"}
# Imported by `promptscale.data.raw` alone, which pyproject.toml leaves to the locks, and why.
DATA = {"seqio", "t5", "tensorflow", "tensorflow_datasets"}
# Peers that benchmarks and the recording of oracles compare with; the project never needs them.
PEERS = {"peft", "torch", "transformers"}
# Asked for without an import in this repository: plugins, programs that `make` calls, and what a
# test imports only where it is installed.
NOT_IMPORTED = {
    "array-record", "axe-playwright-python", "beartype", "import-linter", "importlib-resources",
    "mypy", "pandas-stubs", "playwright", "pytest-xdist", "ruff", "setuptools", "snakefmt",
    "snakemake-executor-plugin-slurm", "tensorflow-text", "types-pyyaml",
}  # fmt: skip


def imports(*folders: str) -> set[str]:
    """Top-level names of the third-party modules that the Python files in some folders import."""
    names: set[str] = set()
    for folder in folders:
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    names |= {f"{node.module}.{alias.name}" for alias in node.names}
    outside = {
        name
        for name in names
        if name.partition(".")[0] not in OURS | PEERS | {"benchmarks", "tests"}
    }
    return {name for name in outside if name.partition(".")[0] not in sys.stdlib_module_names}


def without_data(names: Iterable[str]) -> set[str]:
    """The modules among these that a plain installation needs."""
    return {name for name in names if name.partition(".")[0] not in DATA}


def distributions(names: Iterable[str]) -> set[str]:
    """The packages that provide some modules.

    Google's packages share the module `google`, so their names are compared with the whole import.
    """
    google = {
        "google.api_core": "google-api-core",
        "google.auth": "google-auth",
        "google.cloud": "google-cloud-tpu",
    }
    provided = packages_distributions()
    packages: set[str] = set()
    for name in names:
        prefix = next((prefix for prefix in google if name.startswith(prefix)), None)
        packages |= {google[prefix]} if prefix else set(provided[name.partition(".")[0]])
    return set(map(canonicalize_name, packages))


def requirements(lines: Iterable[str]) -> list[Requirement]:
    """Requirements from the lines of a file, without comments and references to other files."""
    bare = (line.partition(" #")[0].strip() for line in lines)
    return [Requirement(line) for line in bare if line and line[0] not in "#-"]


def names(required: Iterable[Requirement]) -> set[str]:
    """The names of requirements in their canonical form."""
    return {canonicalize_name(requirement.name) for requirement in required}


def asked_for(kind: str) -> list[Requirement]:
    """The requirements of envs/<kind>.in and of envs/base.in, which it includes."""
    files = [REPOSITORY / "envs" / f"{name}.in" for name in ("base", kind)]
    return requirements(line for file in files for line in file.read_text().splitlines())


CORE = requirements(PROJECT["dependencies"])
EXTRAS = {name: requirements(lines) for name, lines in PROJECT["optional-dependencies"].items()}
DECLARED = [*CORE, *(requirement for extra in EXTRAS.values() for requirement in extra)]


def test_the_package_declares_what_it_imports_and_nothing_else():
    imported = distributions(without_data(imports("src", "workflow")))
    assert imported == names(DECLARED) - NOT_IMPORTED


def test_the_core_needs_no_extra():
    """A plain installation has all that the library imports outside of `data.raw`."""
    imported = distributions(without_data(imports("src/promptscale")))
    assert imported == names(CORE)


@pytest.mark.parametrize("kind", ["cpu", "gpu", "tpu"])
def test_the_environments_ask_for_what_is_imported_and_nothing_else(kind):
    imported = distributions(imports("src", "tests", "benchmarks", "workflow"))
    assert imported == names(asked_for(kind)) - NOT_IMPORTED


@pytest.mark.parametrize("kind", ["cpu", "gpu", "tpu"])
def test_the_locks_satisfy_what_is_declared(kind):
    lines = (REPOSITORY / f"envs/{kind}.lock").read_text().splitlines()
    pins = requirements(line.rstrip("\\") for line in lines if line and line[0].isalnum())
    versions: dict[str, list[str]] = {}
    for pin in pins:
        (specifier,) = pin.specifier
        versions.setdefault(canonicalize_name(pin.name), []).append(specifier.version)
    for requirement in [*DECLARED, *asked_for(kind)]:
        for version in versions[canonicalize_name(requirement.name)]:
            assert requirement.specifier.contains(version), f"{requirement}: {version} in the lock"


def test_every_declared_package_has_a_lower_and_an_upper_bound():
    for requirement in DECLARED:
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators == {">=", "<"}, requirement
