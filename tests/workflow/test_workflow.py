"""The workflow from end to end, on the smallest configuration that touches every rule."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from promptscale.config.load import load_config
from promptscale.config.sizes import SIZES
from promptscale.planning.counts import jobs, run_table

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
SMALLEST = Path(__file__).with_name("smallest.yaml")
JOB = "prompt_tuning/mini-base/lm_4/length_1-class_label/superglue/seeds_0-1"
EVERYTHING = ("all", "publish", "hyperparameter_search")
TRAINING = {"train_language_model", "train_prompts", "tune_model", "evaluate_text_prompts"}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Snakemake on this repository's Snakefile with `folder` as the working directory."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--directory", folder, "--cores", str(os.cpu_count()), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """Jobs by rule that a dry run plans."""
    result = snakemake(folder, "--dry-run", *arguments)
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"^(\w+) +(\d+)$", result.stdout + result.stderr, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in rows if rule != "total"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder in which the smallest configuration has run to its end, published and searched."""
    folder = tmp_path_factory.mktemp("workflow")
    result = snakemake(folder, "--profile", "profiles/ci", "--", *EVERYTHING)
    assert result.returncode == 0, result.stderr
    progress = result.stderr.removeprefix(
        "Using profile profiles/ci for setting default command line arguments."
    )
    (folder / "progress.txt").write_text(progress.lstrip())
    return folder


def test_progress_says_which_job_how_many_of_how_many_and_the_time_left(finished):
    lines = (finished / "progress.txt").read_text().splitlines()
    assert all(re.match(r"\[ *\d+ of \d+\] .*(start|now|done) ", line) for line in lines), lines
    assert re.match(r"\[(\d+) of \1\] .*0 s left  done ", lines[-1])


def test_everything_is_there(finished):
    figures = ["figure1", "figure3", *(f"figure3{panel}" for panel in "abcd"), "figure4"]
    paper_only = ["table4", "text_numbers"]
    tables = [f"table{number}" for number in range(1, 17)] + ["interpretability", "serving"]
    tables += ["domain_words", "error_modes", "scores", "text_numbers"]
    for name in figures:
        for kind in ("pdf", "png", "csv"):
            assert (finished / f"figures/{name}.{kind}").stat().st_size > 0
    for name in tables:
        for kind in ("csv", "md", "tex"):
            assert (finished / f"results/tables/{name}.{kind}").stat().st_size > 0
        text = (finished / f"results/tables/{name}.md").read_text()
        assert "iniature" in text or name in paper_only
    assert "not the paper's results" in (finished / "results/claims.md").read_text()
    assert not list(finished.rglob("*.partial"))


def test_the_runs_are_those_of_the_plan(finished):
    """The table has the runs of the plan and those of the ensembles, in the paper's precision."""
    runs = pd.read_csv(finished / "results/runs.csv")
    planned_runs = {row["run"] for row in run_table(load_config(SMALLEST))}
    voted = set(runs.loc[runs["method"] == "prompt_ensemble", "run"])
    assert set(runs["run"]) == planned_runs | voted and len(voted) == 8
    assert set(runs["origin"]) == {"generated"} and set(runs["label"]) == {"Miniature"}
    shifted = runs[(runs["task"] == "squad") & (runs["eval_task"] == "drop")]
    assert set(shifted["method"]) == {"prompt_tuning", "model_tuning"}
    prompt = np.load(finished / f"results/runs/{JOB}/prompts/boolq/seed_1.npy")
    assert (
        prompt.shape == (1, SIZES["mini-base"].d_model)
        and prompt.dtype == np.float32
        and np.isfinite(prompt).all()
    )
    assert np.isfinite(runs["value"]).all()


def test_a_long_adaptation_continues_the_short_one(finished):
    losses = pd.read_csv(finished / "results/models/mini-base/lm_4/losses.csv")
    assert list(losses["step"]) == [3, 4]  # after the two steps of lm_2


def test_running_again_does_nothing(finished):
    options = ("--configfile", str(SMALLEST), "--dry-run", "--", *EVERYTHING)
    result = snakemake(finished, *options)
    assert "Nothing to be done" in result.stdout + result.stderr


def test_a_deleted_result_redoes_its_job_and_what_depends_on_it(finished):
    metrics = finished / f"results/runs/{JOB}/metrics.csv"
    content = metrics.read_text()
    metrics.unlink()
    again = planned(finished, "--configfile", str(SMALLEST), "--", "all")
    metrics.write_text(content)
    drawn = ("figures", "tables", "claims", "page", "all")
    interpreted = ("interpret_prompts", "collect_interpretability")  # prompts of every length
    rules = ("train_prompts", "collect_runs", "collect_predictions", *interpreted, *drawn)
    assert again == dict.fromkeys(rules, 1)


def test_one_ablation_is_redone_alone(finished):
    options = ("--configfile", str(SMALLEST), "-R", "train_prompts")
    again = planned(finished, *options, "--", "ablation_initialization")
    # Of two sizes, the default and another initialisation.
    assert again == {"train_prompts": 4, "ablation_initialization": 1}


def test_a_changed_setting_redoes_the_jobs_that_use_it_and_a_comment_none(finished, tmp_path):
    content = SMALLEST.read_text()
    commented = tmp_path / "commented.yaml"
    commented.write_text("# another comment\n" + content.replace("{shots: 1}", "{ shots: 1 }"))
    result = snakemake(finished, "--configfile", str(commented), "--dry-run", "--", "all")
    assert "Nothing to be done" in result.stdout + result.stderr
    multitask = "multitask_tuning:\n  <<: *model_tuning\n  optimizer: {learning_rate: 0.002}"
    other = tmp_path / "changed.yaml"
    other.write_text(content.replace("multitask_tuning: *model_tuning", multitask))
    again = planned(finished, "--configfile", str(other), "--", "results/runs.csv")
    assert again == {"tune_model": 2, "collect_runs": 1}


def test_results_are_published_over_older_results_of_the_same_label(finished, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(finished, folder, symlinks=True)
    published = folder / "results/published/miniature"
    (published / "runs.csv.gz").unlink()  # what is published need not be whole
    options = ("--configfile", str(SMALLEST), "-R", "publish", "--", "publish")
    result = snakemake(folder, *options)
    assert result.returncode == 0, result.stderr
    expected = finished / "results/published/miniature/runs.csv.gz"
    assert (published / "runs.csv.gz").read_bytes() == expected.read_bytes()
    manifest = published / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"label": "Miniature"', '"label": "Theirs"'))
    result = snakemake(folder, *options)
    assert result.returncode != 0
    assert "labelled 'Theirs'" in (folder / "results/logs/publish.log").read_text()
    assert '"label":"Theirs"' in manifest.read_text().replace(" ", "")


def test_a_key_of_the_data_redoes_what_reads_it_and_nothing_else(finished, tmp_path):
    content = yaml.safe_load(SMALLEST.read_text())
    other = tmp_path / "data.yaml"
    unread = {"download": True}
    architectures = {"unused": {"d_model": 8, "d_ff": 8, "num_heads": 2, "head_dim": 4}}
    architectures["unused"] |= {"num_encoder_layers": 1, "num_decoder_layers": 1}
    changes = {"data": content["data"] | unread, "architectures": architectures}
    other.write_text(yaml.safe_dump(content | changes, sort_keys=False))
    drawn = ("all", "hyperparameter_search")
    result = snakemake(finished, "--configfile", str(other), "--dry-run", "--", *drawn)
    assert "Nothing to be done" in result.stdout + result.stderr
    # A published bundle has the whole configuration in its manifest.
    again = planned(finished, "--configfile", str(other), "--", "publish")
    assert again == {"publish": 1}
    changes = {"data": content["data"] | {"corpus_shards": 2}}
    other.write_text(yaml.safe_dump(content | changes, sort_keys=False))
    again = planned(finished, "--configfile", str(other), "--", "lm_adaptation")
    assert again == {"prepare_text": 1, "train_language_model": 6, "lm_adaptation": 1}
    assert planned(finished, "--configfile", str(other), "--", "results/datasets.csv") == {}


def test_other_tasks_of_generated_data_prepare_nothing_again(finished):
    """The tables of datasets are of the configuration's tasks; the splits are there already."""
    options = ("--configfile", str(SMALLEST), "--config", "tasks=[boolq, cb]")
    again = planned(finished, *options, "--", "results/datasets.csv")
    assert again == {"collect_datasets": 1}


def test_hardware_reruns_nothing_and_a_budget_stops_what_it_does_not_cover(finished, tmp_path):
    where = {size: {"accelerator": "v2-8", "model_axis": 2} for size in ("mini-small", "mini-base")}
    paths = {"models": "gs://bucket/models", "state": "/elsewhere"}
    content = yaml.safe_load(SMALLEST.read_text()) | {"hardware": where, "paths": paths}
    other = tmp_path / "hardware.yaml"
    other.write_text(yaml.safe_dump(content, sort_keys=False))
    result = snakemake(finished, "--configfile", str(other), "--dry-run", "--", "all")
    assert "Nothing to be done" in result.stdout + result.stderr
    other.write_text(
        yaml.safe_dump(content | {"budget": {"accelerator_hours": 0}}, sort_keys=False)
    )
    result = snakemake(tmp_path, "--configfile", str(other), "--", "all")
    assert result.returncode != 0
    assert "`budget.accelerator_hours` is 0" in result.stdout + result.stderr
    assert not (tmp_path / "results/vocabulary").exists()
    # Finished jobs do not count towards the budget.
    result = snakemake(finished, "--configfile", str(other), "--", "all")
    assert result.returncode == 0, result.stderr


@pytest.fixture
def clone(finished, tmp_path) -> Path:
    """Published results as a fresh clone has them: without runs, in any order of their times."""
    source = finished / "results/published/miniature"
    folder = tmp_path / "clone" / "results/published/miniature"
    shutil.copytree(source, folder)
    for number, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (1e9 + 1e6 * (number % 3), 1e9 + 1e6 * (number % 3)))
    return tmp_path / "clone"


CACHED = ("--config", "published=results/published/miniature")


def test_published_results_are_drawn_without_any_training(clone, finished):
    again = planned(clone, *CACHED, "--", "figures", "tables", "claims", "page")
    assert again == {"figures": 1, "tables": 1, "claims": 1, "page": 1}
    result = snakemake(clone, *CACHED, "--", "figure3", "table1", "claims", "page")
    assert result.returncode == 0, result.stderr
    page = (clone / "results/index.html").read_text()
    assert "drawn again without training" in page
    assert "These results have no predictions." not in page
    assert "These results have no lists of neighbours." not in page
    for name in ("figures/figure3.png", "results/tables/table1.md", "results/claims.md"):
        assert (clone / name).read_bytes() == (finished / name).read_bytes()
    result = snakemake(clone, *CACHED, "--dry-run", "--", "results/runs.csv")
    assert result.returncode != 0  # with published results no rule makes it


def test_snakemakes_report_has_captions_categories_and_labels(finished):
    options = ("--configfile", str(SMALLEST), "--report", "report.zip")
    result = snakemake(finished, *options)
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(finished / "report.zip") as archive:
        (index,) = (name for name in archive.namelist() if name.endswith("report.html"))
        text = archive.read(index).decode()
    for name in ("Figures", "Tables", "Claims", "Page", "figure3a", "table16"):
        assert f'"{name}"' in text
    assert "drawn from the runs of this workflow" in text  # of a caption


def test_a_missing_published_table_is_named(clone):
    (clone / "results/published/miniature/runs.csv.gz").unlink()
    result = snakemake(clone, *CACHED, "--dry-run", "--", "figures")
    assert result.returncode != 0 and "runs.csv.gz is missing" in result.stdout


def test_a_wrong_configuration_is_a_sentence_and_starts_nothing(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(SMALLEST.read_text().replace("prompt_length: 3", "prompt_lenght: 3"))
    result = snakemake(tmp_path, "--configfile", str(wrong), "--", "all")
    assert result.returncode != 0
    assert "no key 'prompt_tuning.prompt_lenght'; did you mean 'prompt_length'?" in result.stderr
    assert "Traceback" not in result.stderr and not (tmp_path / "results").exists()


def test_a_job_that_cannot_start_says_why(finished, tmp_path):
    """A missing checkpoint ends its job with a sentence, and nothing is written."""
    content = yaml.safe_load(SMALLEST.read_text())
    sections = ("origin", "label", "tasks", "seeds", "data", "prompt_tuning")
    content = {key: content[key] for key in sections} | {"sizes": ["mini-base"]}
    content["checkpoints"] = {"span_corruption": "no/such/checkpoint"}
    content |= {"default_checkpoint": "span_corruption"}
    content["paths"] = {"results": "elsewhere", "figures": "elsewhere/figures"}
    wrong = tmp_path / "missing.yaml"
    wrong.write_text(yaml.safe_dump(content))
    target = "elsewhere/models/mini-base/span_corruption/model.json"
    options = ("--configfile", str(wrong), "--logger", "promptscale", "--", target)
    result = snakemake(finished, *options)
    assert result.returncode != 0
    assert "/no/such/checkpoint: no such file or folder" in result.stderr
    assert not (finished / target).exists()


@pytest.mark.parametrize("name", ["local", "tpu", "cached"])
def test_the_profiles_that_the_readme_names_are_links_at_the_root(name):
    """`--profile NAME` works in a clone: a link at the root leads to the folder of the profile."""
    assert f"--profile {name} " in (REPOSITORY / "README.md").read_text()
    link = REPOSITORY / name
    assert link.is_symlink() and link.readlink() == Path("profiles", name)
    assert (link / "profile.v9+.yaml").is_file()


@pytest.mark.parametrize("name", ["local", "gpu", "slurm"])
def test_every_profile_plans_what_the_plan_says(name, tmp_path):
    profile = str(REPOSITORY / "profiles" / name)
    options = ("--configfile", str(SMALLEST), "--profile", profile, "--", "all")
    assert planned(tmp_path, *options) == jobs(load_config(SMALLEST))


def test_the_tpu_profile_plans_the_paper(tmp_path):
    expected = jobs(load_config(REPOSITORY / "config/paper.yaml"))
    assert planned(tmp_path, "--profile", "tpu", "--", "all") == expected
    assert expected["train_prompts"] == 456


def test_the_miniature_plans_what_the_plan_says(tmp_path):
    config = REPOSITORY / "config/miniature.yaml"
    assert planned(tmp_path, "--configfile", str(config), "--", "all") == jobs(load_config(config))


@pytest.mark.parametrize("name", ["real", "real_tasks", "real_gpu", "real_tasks_gpu"])
def test_the_trials_on_real_input_plan_what_the_plan_says(name, shared, tmp_path):
    config = yaml.safe_load((REPOSITORY / f"config/{name}.yaml").read_text())
    vocabulary = shared / "data/prompt-tuning/test_data/t5_vocab"
    config["data"] |= {"local_files": str(shared / "data"), "vocabulary": str(vocabulary)}
    path = tmp_path / "real.yaml"
    path.write_text(yaml.safe_dump(config))
    assert planned(tmp_path, "--configfile", str(path), "--", "all") == jobs(load_config(path))
