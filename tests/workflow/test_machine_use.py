"""Jobs use the machine that they run on: threads, and the limits of cores and memory."""

from pathlib import Path

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)
from snakemake.utils import available_cpu_count

from promptscale.planning import machine

REPOSITORY = Path(__file__).parents[2]


def plan(size: str, folder: Path, config: dict[str, str] | None = None, **resources: int):
    """Plans the real trial with another size; returns the jobs by rule, and the limits."""
    content = yaml.safe_load((REPOSITORY / "config/real.yaml").read_text())
    content |= {"sizes": [size], "ablations": {}, "ensembles": None, "model_tuning": None}
    file = folder / "experiment.yaml"
    file.write_text(yaml.safe_dump(content))
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(**resources),
            config_settings=ConfigSettings(configfiles=[file], config=config or {}),
            snakefile=REPOSITORY / "Snakefile",
            workdir=folder,
        )
        dag = workflow.dag(DAGSettings(targets={"results/real/runs.csv"}))
        dag.execute_workflow(executor="dryrun")
        internal = workflow._workflow
        limits = {name: limit.value for name, limit in internal.global_resources.items()}
        return {job.rule.name: job for job in internal.dag.jobs}, limits


@pytest.mark.parametrize(("size", "threads"), [("small", 6), ("mini-small", 1)])
def test_the_job_of_a_large_model_has_all_cores_and_that_of_a_small_model_one(
    size, threads, tmp_path
):
    jobs, _ = plan(size, tmp_path, cores=6)
    assert jobs["train_prompts"].threads == threads
    assert jobs["prepare_task"].threads == 1


def test_on_a_gpu_and_on_a_cluster_a_job_has_a_core(tmp_path):
    jobs, _ = plan("small", tmp_path, {"environment": "gpu"}, cores=6)
    assert jobs["train_prompts"].threads == 1
    jobs, limits = plan("small", tmp_path, nodes=100)
    assert jobs["train_prompts"].threads == 1 and "mem_mb" not in limits
    assert jobs["train_prompts"].resources["mem_mb"] > 8_000


def test_all_cores_and_memory_are_those_of_the_container(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    monkeypatch.setattr(machine, "available_memory_mb", lambda: 4_000)
    jobs, limits = plan("small", tmp_path, cores=available_cpu_count())
    assert (limits["_cores"], limits["mem_mb"]) == (1, 4_000)
    # A job that needs more than there is runs alone.
    assert jobs["train_prompts"].resources["mem_mb"] == 4_000
    _, limits = plan("small", tmp_path, cores=available_cpu_count() + 1)
    assert limits["_cores"] == available_cpu_count() + 1  # asked for by number
