"""A small grid of experiments on preempted slices gives the results of a local run."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from promptscale.config.accelerators import accelerators
from promptscale.tpu.remote_job import sha256

from .conftest import REPOSITORY, SEEDS, Site
from .fake_bucket import FakeBucket
from .fake_cloud import FakeCloud, Faults

GRID = Path(__file__).with_name("grid.yaml")
WORKFLOW = ["--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", str(GRID)]
# Slices with 1, 2 and 4 hosts.
TYPES = {
    "train_language_model": "v2-8",
    "train_prompts": "v2-8",
    "tune_model": "v4-16",
    "evaluate_text_prompts": "v3-32",
}
JOBS = 30  # on slices
CLOCKS = ["wall_seconds", "accelerator_seconds"]
# On several hosts sums have another order; all other results have equal bits.
SEVERAL_HOSTS = ["model_tuning", "prompt_design"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a local run of the grid."""
    folder = tmp_path_factory.mktemp("undisturbed")
    command = [sys.executable, "-m", "snakemake", *WORKFLOW, "--cores", "2"]
    result = subprocess.run(
        [*command, "--logger", "promptscale", "--", "results/runs.csv"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def disturbed(undisturbed: Path, tmp_path: Path, request) -> Iterator[Site]:
    """A folder with the prepared data, and a cloud that preempts a third of the slices.

    Compiled programs are shared with the local run, which makes the test faster.
    """
    folder = tmp_path / "site"
    shutil.copytree(undisturbed, folder)
    for name in ("models", "runs", "state", "logs"):
        shutil.rmtree(folder / "results" / name)
    (folder / "results/runs.csv").unlink()
    bucket = FakeBucket()
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(undisturbed / "results/state/compiled")}
    faults = Faults(preempted=0.3, within=6.0, outages=(4, 60), uploads=3)
    cloud = FakeCloud(tmp_path / "hosts", bucket, faults, request.param, compiled)
    site = Site(folder, bucket, cloud)
    yield site
    site.stop()


@pytest.mark.slow
@pytest.mark.parametrize("disturbed", SEEDS, indirect=True)
def test_preempted_slices_change_nothing(undisturbed: Path, disturbed: Site):
    resources = [f"{rule}:tpu_type='{kind}'" for rule, kind in TYPES.items()]
    resources += [f"{rule}:tpu_chips={accelerators()[kind].chips}" for rule, kind in TYPES.items()]
    resources.append("tune_model:model_axis=2")  # the hosts share the model
    lock = {"lock": str(REPOSITORY / "envs/tpu.lock"), "host-timeout": 15.0, "heartbeat": 0.4}
    result = disturbed.run(
        *WORKFLOW, "--logger", "promptscale", "--resources", "tpu_chips=20",
        "--set-resources", *resources,
        "--", "results/runs.csv", **lock,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert_same_results(undisturbed / "results", disturbed.folder / "results")
    cloud = disturbed.cloud
    assert not cloud.wasted and cloud.preempted
    attempts = disturbed.attempts()
    interrupted = pd.read_csv(disturbed.folder / "results/logs/interruptions.csv")
    assert len(attempts) == JOBS
    assert JOBS < sum(attempts.values()) <= JOBS + interrupted["interruptions"].sum()
    logs = [file.read_text() for file in disturbed.folder.glob("results/logs/**/*.log")]
    assert any("resuming at step" in log for log in logs)
    # A training that was complete before its upload was interrupted does not train again.
    assert len(cloud.uploads) == 3
    assert any(re.search(r"resuming at step (\d+) of \1\b", log) for log in logs)
    names = disturbed.bucket.names("bucket/")
    states = [name for name in names if "/persistent/results/state/" in name]
    assert states and all("/state/events/" in name for name in states)
    # Hosts read the corpus in the bucket and do not download it.
    corpus = {sha256(path.read_bytes()) for path in disturbed.folder.glob("results/data/c4/*")}
    assert corpus and all(any(blob in name for name in names) for blob in corpus)
    assert not [path for path in cloud.folder.glob("*/*/blobs/*") if path.name in corpus]
    disturbed.assert_nothing_is_left()


def assert_same_results(expected: Path, actual: Path) -> None:
    """Asserts equal prompts, predictions, losses and metrics; measured times may differ."""
    files = [
        file.relative_to(expected)
        for pattern in ("runs/**/*", "models/*/*/losses.csv")
        for file in expected.glob(pattern)
        if file.is_file() and file.name != ".snakemake_timestamp"
    ]
    assert {file.suffix for file in files} == {".npy", ".jsonl", ".csv"}
    for file in files:
        if file.suffix == ".csv":
            tables = [pd.read_csv(folder / file) for folder in (expected, actual)]
            tables = [table.drop(columns=CLOCKS, errors="ignore") for table in tables]
            tolerance = 1e-5 if set(SEVERAL_HOSTS) & set(file.parts) else 0.0
            pd.testing.assert_frame_equal(*tables, rtol=tolerance, atol=tolerance)
        else:
            assert (actual / file).read_bytes() == (expected / file).read_bytes(), file
    # The table of all runs is made of these files.
    assert len(pd.read_csv(actual / "runs.csv")) == len(pd.read_csv(expected / "runs.csv"))
