"""`--profile slurm` on a real Slurm cluster: jobs run, and a cancelled job resumes."""

import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml

from tests.slurm.cluster import cluster, why_not
from tests.workflow.test_workflow import REPOSITORY, SMALLEST

pytestmark = pytest.mark.slow  # starts processes

JOB = "prompt_tuning/mini-small/span_corruption/length_3-class_label/copa/seeds_0"
STEPS = 600


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> None:
    if reason := why_not():
        pytest.skip(reason)
    with cluster(tmp_path_factory.mktemp("slurm") / "daemons"):
        yield


def configuration() -> dict:
    """A configuration with a single job of prompt tuning, long enough to be cancelled."""
    content = yaml.safe_load(SMALLEST.read_text())
    keys = ("origin", "label", "data", "pretraining", "prompt_tuning")
    config = {key: content[key] for key in keys}
    config |= {"sizes": ["mini-small"], "tasks": ["copa"], "seeds": [0]}
    config |= {"checkpoints": {"span_corruption": "train"}, "default_checkpoint": "span_corruption"}
    config["prompt_tuning"] |= {"steps": STEPS, "evaluate_every": STEPS, "save_every": 10}
    return config


def jobs_named(rule: str) -> list[str]:
    """The ids of Slurm's jobs of a rule; the plugin writes the rule into a job's comment."""
    listed = subprocess.run(["squeue", "-h", "-o", "%i %k"], capture_output=True, text=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if rule in line]


def test_a_cancelled_job_is_submitted_again_and_resumes(slurm, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(configuration()))
    metrics = tmp_path / f"results/runs/{JOB}/metrics.csv"
    state = tmp_path / f"results/state/runs/{JOB}.state.0"
    command = [sys.executable, "-m", "snakemake", "--profile", REPOSITORY / "profiles/slurm"]
    command += ["--snakefile", REPOSITORY / "Snakefile", "--directory", tmp_path]
    command += ["--configfile", config, "--slurm-no-account", "--slurm-status-command", "squeue"]
    # The test needs no GPU and little memory. The option replaces the profile's `set-resources` and
    # takes precedence over the rules' resources.
    command += ["--set-resources", "train_prompts:runtime=10", "train_prompts:mem_mb=2000"]
    command += ["train_language_model:mem_mb=2000"]
    command += ["--default-resources", "runtime=10", "mem_mb=2000"]
    command += ["--slurm-init-seconds-before-status-checks", "1"]
    command += ["--seconds-between-status-checks", "1", "--latency-wait", "10"]
    command += ["--", metrics.relative_to(tmp_path)]
    output = (tmp_path / "snakemake.out").open("wb")
    workflow = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT)
    try:
        cancelled = []
        while workflow.poll() is None:
            if not cancelled and state.exists():
                cancelled = jobs_named("train_prompts")
                for job in cancelled:
                    subprocess.run(["scancel", job], check=True)
            time.sleep(0.05)
    finally:
        workflow.kill()
    printed = (tmp_path / "snakemake.out").read_text()
    assert workflow.returncode == 0, printed
    assert len(cancelled) == 1
    log = (tmp_path / f"results/logs/runs/{JOB}.log").read_text()
    assert "resuming at step" in log, log
    rows = pd.read_csv(metrics)
    assert set(rows["step"]) == {STEPS} and rows["selected"].all()
    assert not state.exists()
