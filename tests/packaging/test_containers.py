"""The container files copy what exists, leave nothing out, and set up as `make setup` does."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
APPTAINER = (REPOSITORY / "apptainer.def").read_text(encoding="utf-8")
IGNORED = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
CHECKOUT = "/opt/promptscale"


def copied_by_docker() -> dict[str, str]:
    """Where each file or folder of the repository goes in the image; nothing else copies."""
    copied = {}
    folder = "/"
    for name, rest in re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE, re.MULTILINE):
        if name == "WORKDIR":
            folder = rest
        assert name != "ADD"
        if name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copied[source] = f"{folder}/{source if target == './' else target}"
    return copied


def copied_by_apptainer() -> dict[str, str]:
    """Where each file or folder of the repository goes in the image."""
    section = re.search(r"^%files\n((?:    .*\n)+)", APPTAINER, re.MULTILINE)
    assert section
    return dict(line.split() for line in section[1].splitlines())


def test_both_images_have_the_same_checkout():
    copied = copied_by_docker()
    assert copied == copied_by_apptainer()
    for source, target in copied.items():
        assert (REPOSITORY / source).exists() and target == f"{CHECKOUT}/{source}"
    assert {"src", "workflow", "Snakefile", "config", "profiles", "envs"} <= set(copied)


def test_docker_is_sent_what_it_copies_and_nothing_else():
    sent = {line[1:] for line in IGNORED.splitlines() if line.startswith("!")}
    assert sent == set(copied_by_docker()) and "*" in IGNORED.splitlines()


def test_the_set_up_is_that_of_make():
    (command,) = re.findall(r'^\t@\$\(PYTHON\) (envs/setup.py) "\$\(ACCELERATOR\)"', MAKEFILE, re.M)
    assert re.search(rf'^RUN .*python {command} "\$ACCELERATOR"$', DOCKERFILE, re.MULTILINE)
    assert re.search(rf'^    .*python {command} "{{{{ ACCELERATOR }}}}"$', APPTAINER, re.MULTILINE)
    # What the set-up reads is copied before it.
    before = DOCKERFILE.split("RUN ")[0]
    assert all(f" {name}" in before for name in ("envs", "src", "pyproject.toml", "README.md"))


def test_both_images_run_snakemake_from_the_same_python():
    command = ["snakemake", "--snakefile", f"{CHECKOUT}/Snakefile"]
    assert f"ENTRYPOINT {command}".replace("'", '"') in DOCKERFILE
    assert f'exec {" ".join(command)} "$@"' in APPTAINER
    (image,) = re.findall(r"^FROM (python:(3\.\d+)-.*)$", DOCKERFILE, re.MULTILINE)
    assert f"From: {image[0]}\n" in APPTAINER
    requires = re.search(
        r'requires-python = ">=(3\.\d+)"', (REPOSITORY / "pyproject.toml").read_text()
    )
    assert requires and requires[1] == image[1]


@pytest.mark.slow
def test_docker_builds_the_image():
    """With PROMPTSCALE_BUILD_IMAGE=1, as the set-up downloads some gigabytes."""
    if os.environ.get("PROMPTSCALE_BUILD_IMAGE") != "1":
        pytest.skip("PROMPTSCALE_BUILD_IMAGE=1 builds the image")
    if not shutil.which("docker") or subprocess.run(["docker", "info"], check=False).returncode:
        pytest.skip("no Docker daemon answers")
    subprocess.run(["make", "image", "IMAGE=promptscale-test"], cwd=REPOSITORY, check=True)
    command = ["docker", "run", "--rm", "--user", "12345", "promptscale-test:cpu", "--version"]
    subprocess.run(command, check=True)


def test_the_versions_agree():
    project = re.search(r'^version = "(.*)"$', (REPOSITORY / "pyproject.toml").read_text(), re.M)
    module = re.search(
        r'__version__ = "(.*)"', (REPOSITORY / "src/promptscale/__init__.py").read_text()
    )
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert project and module and project[1] == module[1] == citation["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project[1])


def test_the_catalogue_of_workflows_finds_what_it_asks_for():
    """The format is that of the catalogue's documentation."""
    usage = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    stack = usage["software-stack-deployment"]
    assert set(stack) == {"conda", "singularity", "singularity+conda"}
    assert stack["conda"] and all(isinstance(value, bool) for value in stack.values())
    for name in ("README.md", "LICENSE", "config/README.md", "workflow/Snakefile"):
        assert (REPOSITORY / name).is_file()
