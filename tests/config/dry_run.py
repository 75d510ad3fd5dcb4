"""Dry runs by Snakemake in this process."""

import collections
from pathlib import Path
from typing import Any

import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

REPOSITORY = Path(__file__).parents[2]


def execute(
    content: dict[str, Any],
    folder: Path,
    target: str,
    snakefile: Path = REPOSITORY / "Snakefile",
    executor: str = "dryrun",
) -> Any:
    """Runs Snakemake on a configuration in a folder, and returns its graph of jobs."""
    file = folder / "configuration.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    output = OutputSettings(dryrun=executor == "dryrun", quiet={Quietness.ALL})
    with SnakemakeApi(output) as snakemake:
        workflow = snakemake.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=(file,)),
            snakefile=snakefile,
            workdir=folder,
        )
        workflow.dag(DAGSettings(targets={target})).execute_workflow(executor=executor)
        return workflow._workflow.dag


def planned(
    content: dict[str, Any],
    folder: Path,
    target: str = "all",
    snakefile: Path = REPOSITORY / "Snakefile",
) -> dict[str, int]:
    """Jobs by rule that Snakemake would run in an empty folder."""
    jobs = execute(content, folder, target, snakefile).jobs  # all of them, as the folder is empty
    return dict(collections.Counter(job.rule.name for job in jobs))
