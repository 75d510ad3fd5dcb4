"""Every section of docs/extending.md is a change that works: applied to a copy, it is planned."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import REPOSITORY, blocks, edited, sections

PAGE = (REPOSITORY / "docs/extending.md").read_text(encoding="utf-8")
SECTIONS = sections(PAGE)


def changed_files(section: str) -> dict[str, str]:
    """The files that a section changes, as they are after the change."""
    changed: dict[str, str] = {}
    for block in blocks(SECTIONS[section]):
        if block.language == "diff":
            source = changed.get(block.title) or (REPOSITORY / block.title).read_text("utf-8")
            changed[block.title] = edited(source, block.text)
    return changed


@pytest.mark.parametrize("section", SECTIONS)
def test_the_changes_fit_the_source(section):
    changed = changed_files(section)
    assert changed
    for name, content in changed.items():
        assert content != (REPOSITORY / name).read_text(encoding="utf-8")
        if name.endswith(".py"):
            compile(content, name, "exec")


def test_the_counts_of_contributing_are_those_of_the_sections():
    """The table of CONTRIBUTING.md has the files and lines of each section, without blank lines."""
    table = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| \[(.*?)\]\(.*\) \| (\d+ \| \d+) \|$", table, re.MULTILINE))
    counted = {}
    for section, text in SECTIONS.items():
        changes = [block for block in blocks(text) if block.language == "diff"]
        added = re.findall(r"^\+.", "".join(block.text for block in changes), re.MULTILINE)
        counted[section] = f"{len({block.title for block in changes})} | {len(added)}"
    assert shown == counted


@pytest.fixture
def copy(tmp_path) -> Path:
    """The parts of the repository that a plan reads."""
    folder = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "workflow", "config", "envs"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    shutil.copy(REPOSITORY / "Snakefile", folder)
    (folder / "docs").mkdir()
    shutil.copy(REPOSITORY / "docs/deviations.md", folder / "docs")  # a part of the page of results
    return folder


def apply(section: str, folder: Path) -> None:
    """Makes a section's changes in a copy, and its configuration from the miniature's."""
    for name, content in changed_files(section).items():
        (folder / name).write_text(content, encoding="utf-8")
    content = yaml.safe_load((folder / "config/miniature.yaml").read_text(encoding="utf-8"))
    for block in blocks(SECTIONS[section]):
        if block.title == "experiment.yaml":
            for key, value in yaml.safe_load(block.text).items():
                content[key] = content.get(key, {}) | value if isinstance(value, dict) else value
    (folder / "experiment.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def run(folder: Path, *command: str) -> str:
    """What a module of the copy prints."""
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    result = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def dry_run(folder: Path, target: str) -> dict[str, int]:
    """The numbers of jobs that Snakemake plans in a copy, by rule."""
    options = ["--cores", "1", "--dry-run", "--configfile", "experiment.yaml"]
    output = run(folder, "-m", "snakemake", *options, "--", target)
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", output, re.M)}


@pytest.mark.slow
def test_a_size(copy):
    apply("A size", copy)
    run(copy, "-m", "promptscale.cli", "check", "experiment.yaml")
    arguments = ("parameters", "--size", "mini-wide", "--prompt-length", "10", "--json")
    assert json.loads(run(copy, "-m", "promptscale.cli", *arguments))["trainable"] == 10 * 96
    assert (
        dry_run(copy, "results/models/narrow/span_corruption/model.json")["train_language_model"]
        == 1
    )


@pytest.mark.slow
def test_a_task(copy):
    apply("A classification task", copy)
    assert dry_run(copy, "model_tuning")["tune_model"] > 1
    statements = (
        "from promptscale.data.raw.miniature import datasets as d;"
        "(qnli,) = [each for each in d.DATASETS if each.tfds_name == 'glue/qnli:1.0.0'];"
        "rows = list(d.split_rows(qnli, 'train', d.Sizes(train=200), 0));"
        "print(sorted(rows[0]), sorted({row['label'] for row in rows}))"
    )
    assert run(copy, "-c", statements).splitlines()[-1] == str(
        ["idx", "label", "question", "sentence"]
    ) + " " + str(["entailment", "not_entailment"])


@pytest.mark.slow
def test_an_axis(copy):
    apply("An ablation axis", copy)
    before = dry_run(copy, "ablation_initialization")["train_prompts"]
    assert before and dry_run(copy, "ablation_learning_rate")["train_prompts"] > 1


@pytest.mark.slow
def test_a_method(copy):
    """The plan and the dry run have the same jobs, and a run trains the scales of the norms."""
    apply("A method", copy)
    statements = (
        "from pathlib import Path;"
        "from promptscale.config import grid; from promptscale.config.load import load_config;"
        "from promptscale.model import parameter_shapes; from promptscale.planning import counts;"
        "import math;"
        "config = load_config(Path('experiment.yaml')); job = grid.norm_jobs(config)[0];"
        "shapes = parameter_shapes(job.architecture);"
        "trained = sum(math.prod(s) for n, s in shapes.items() if n.endswith('/scale'));"
        "print(trained == job.trained_parameters, counts.jobs(config)['tune_model'])"
    )
    right, planned = run(copy, "-c", statements).split()[-2:]
    assert right == "True" and dry_run(copy, "all")["tune_model"] == int(planned)
