"""`--profile slurm` on a real Slurm cluster: a cancelled job and one whose node is lost resume."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
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


@contextlib.contextmanager
def workflow(folder: Path) -> Iterator[subprocess.Popen]:
    """Snakemake with the profile, which trains a prompt; it is killed in the end."""
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(configuration()))
    command = [sys.executable, "-m", "snakemake", "--profile", REPOSITORY / "profiles/slurm"]
    command += ["--snakefile", REPOSITORY / "Snakefile", "--directory", folder]
    command += ["--configfile", config, "--slurm-no-account", "--slurm-status-command", "squeue"]
    # The test needs no GPU and little memory. The option replaces the profile's `set-resources` and
    # takes precedence over the rules' resources.
    command += ["--set-resources", "train_prompts:runtime=10", "train_prompts:mem_mb=2000"]
    command += ["train_language_model:mem_mb=2000"]
    command += ["--default-resources", "runtime=10", "mem_mb=2000"]
    command += ["--slurm-init-seconds-before-status-checks", "1"]
    command += ["--seconds-between-status-checks", "1", "--latency-wait", "10"]
    command += ["--", f"results/runs/{JOB}/metrics.csv"]
    output = (folder / "snakemake.out").open("wb")
    process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()


def assert_success(folder: Path, process: subprocess.Popen) -> None:
    """Asserts that the job has resumed and that its outputs are complete."""
    assert process.returncode == 0, (folder / "snakemake.out").read_text()
    log = (folder / f"results/logs/runs/{JOB}.log").read_text()
    assert "resuming at step" in log, log
    rows = pd.read_csv(folder / f"results/runs/{JOB}/metrics.csv")
    assert set(rows["step"]) == {STEPS} and rows["selected"].all()
    assert not list((folder / f"results/state/runs/{JOB}").parent.glob("*.state*"))


def trainings(folder: Path) -> int:
    """The number of processes that run the script of `train_prompts` for this folder."""
    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            is_script = len(command) == 2 and command[1].endswith(".tune.py")
            count += is_script and Path(process.cwd()) == folder
    return count


def test_a_cancelled_job_is_submitted_again_and_resumes(slurm, tmp_path):
    cancelled = []
    with workflow(tmp_path) as process:
        while process.poll() is None:
            if not cancelled and (tmp_path / f"results/state/runs/{JOB}.state.0").exists():
                cancelled = jobs_named("train_prompts")
                for job in cancelled:
                    subprocess.run(["scancel", job], check=True)
            time.sleep(0.05)
    assert_success(tmp_path, process)
    assert len(cancelled) == 1


def test_after_the_loss_of_a_node_the_job_runs_once(slurm, tmp_path):
    """Slurm puts the job back into its queue, and Snakemake does not submit it a second time."""
    node = socket.gethostname().partition(".")[0]
    change = ["scontrol", "update", f"nodename={node}"]
    lost, most, submitted = False, 0, set()
    with workflow(tmp_path) as process:
        while process.poll() is None:
            submitted |= set(jobs_named("train_prompts"))
            most = max(most, trainings(tmp_path))
            if not lost and (tmp_path / f"results/state/runs/{JOB}.state.0").exists():
                lost = True
                subprocess.run([*change, "state=down", "reason=test"], check=True)
                time.sleep(3)
                # The node may have returned by itself; then this is an error.
                subprocess.run([*change, "state=resume"], capture_output=True)
            time.sleep(0.05)
    assert_success(tmp_path, process)
    assert lost and most == 1 and len(submitted) == 1
