"""The workflow from end to end, on the smallest configuration that touches every rule."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
SMALLEST = Path(__file__).with_name("smallest.yaml")
JOB = "prompt_tuning/mini-base/lm_4/boolq/length_1-class_label"


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Snakemake on this repository's Snakefile with `folder` as the working directory."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--directory", folder, "--cores", str(os.cpu_count()), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """Jobs by rule that a dry run plans."""
    result = snakemake(folder, "--dry-run", *arguments)
    assert result.returncode == 0, result.stderr
    table = (result.stdout + result.stderr).split("Job stats:")[1].split("total")[0]
    rows = re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in rows}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder in which the smallest configuration has run to its end."""
    folder = tmp_path_factory.mktemp("workflow")
    options = ("--configfile", str(SMALLEST), "--logger", "promptscale")
    result = snakemake(folder, *options, "--", "all")
    assert result.returncode == 0, result.stderr
    (folder / "progress.txt").write_text(result.stderr)
    return folder


def test_progress_says_which_job_how_many_of_how_many_and_the_time_left(finished):
    lines = (finished / "progress.txt").read_text().splitlines()
    assert all(re.match(r"\[ *\d+ of \d+\] .*(start|done) ", line) for line in lines), lines
    assert re.match(r"\[(\d+) of \1\] .*0 s left  done ", lines[-1])


def test_everything_is_there(finished):
    for figure in ("figure1", "figure3a", "figure4"):
        for kind in ("pdf", "png", "csv"):
            assert (finished / f"figures/{figure}.{kind}").stat().st_size > 0
    for table in ("table4", "table5", "table7", "table8"):
        for kind in ("csv", "md", "tex"):
            assert (finished / f"results/tables/{table}.{kind}").stat().st_size > 0
    runs = pd.read_csv(finished / "results/runs.csv")
    assert set(runs["world"]) == {"miniature"}
    counted = runs.groupby("method")["run"].nunique().to_dict()
    assert counted == {"prompt_tuning": 2 * 2 * 2 * 2, "model_tuning": 2 * 2 * 2}
    prompt = np.load(finished / f"results/runs/{JOB}/prompts/seed_1.npy")
    assert prompt.shape == (1, 24) and prompt.dtype == np.float32
    assert not list(finished.rglob("*.partial"))


def test_running_again_does_nothing(finished):
    result = snakemake(finished, "--configfile", str(SMALLEST), "--dry-run", "--", "all")
    assert "Nothing to be done" in result.stdout + result.stderr


def test_a_deleted_result_redoes_its_job_and_what_depends_on_it(finished):
    metrics = finished / f"results/runs/{JOB}/metrics.csv"
    content = metrics.read_text()
    metrics.unlink()
    again = planned(finished, "--configfile", str(SMALLEST), "--", "all")
    metrics.write_text(content)
    drawn = {"collect_runs": 1, "figure": 3, "table": 12, "all": 1}
    assert again == {"train_prompts": 1, **drawn}


def test_a_changed_setting_redoes_the_jobs_that_use_it_and_a_comment_none(finished, tmp_path):
    content = SMALLEST.read_text()
    commented = tmp_path / "commented.yaml"
    commented.write_text("# another comment\n" + content)
    result = snakemake(finished, "--configfile", str(commented), "--dry-run", "--", "all")
    assert "Nothing to be done" in result.stdout + result.stderr
    changed = yaml.safe_load(content)
    changed["model_tuning"]["optimizer"]["learning_rate"] = 0.002
    other = tmp_path / "changed.yaml"
    other.write_text(yaml.safe_dump(changed))
    again = planned(finished, "--configfile", str(other), "--", "results/runs.csv")
    assert again == {"tune_model": 4, "collect_runs": 1}


def test_a_wrong_configuration_is_a_sentence_and_starts_nothing(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(SMALLEST.read_text().replace("prompt_length: 5", "prompt_lenght: 5"))
    result = snakemake(tmp_path, "--configfile", str(wrong), "--", "all")
    assert result.returncode != 0
    assert "no key 'prompt_tuning.prompt_lenght'; did you mean 'prompt_length'?" in result.stderr
    assert "Traceback" not in result.stderr and not (tmp_path / "results").exists()


def test_a_job_that_cannot_start_says_why(finished, tmp_path):
    """A missing checkpoint ends the import with its sentence; nothing half-written is left."""
    content = yaml.safe_load(SMALLEST.read_text())
    content["checkpoints"] = {"span_corruption": "no/such/checkpoint"}
    content |= {"default_checkpoint": "span_corruption", "lm_adaptation": None}
    content["paths"] = {"results": "elsewhere", "figures": "elsewhere/figures"}
    wrong = tmp_path / "missing.yaml"
    wrong.write_text(yaml.safe_dump(content))
    target = "elsewhere/models/mini-base/span_corruption/checkpoint"
    options = ("--configfile", str(wrong), "--logger", "promptscale", "--", target)
    result = snakemake(finished, *options)
    assert result.returncode != 0
    assert "There is no checkpoint at no/such/checkpoint" in result.stderr
    assert not (finished / target).exists()


@pytest.mark.parametrize("name", ["local", "gpu"])
def test_every_profile_plans(name, tmp_path):
    profile = str(REPOSITORY / "profiles" / name)
    result = snakemake(tmp_path, "--configfile", str(SMALLEST), "--profile", profile, "--dry-run")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["miniature", "real"])
def test_every_shipped_configuration_plans(name, tmp_path):
    config = str(REPOSITORY / f"config/{name}.yaml")
    if name == "real" and not (REPOSITORY.parent / "shared").exists():
        pytest.skip("the real trial's files are not beside this checkout")
    result = snakemake(REPOSITORY, "--configfile", config, "--dry-run", "--quiet", "--", "tables")
    assert result.returncode == 0, result.stderr
