"""Dry runs by Snakemake in this process."""

import collections
from pathlib import Path
from typing import Any

import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

REPOSITORY = Path(__file__).parents[2]


def planned(content: dict[str, Any], folder: Path, target: str = "all") -> dict[str, int]:
    """Jobs by rule that Snakemake would run in an empty folder."""
    file = folder / "configuration.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    output = OutputSettings(dryrun=True, quiet={Quietness.ALL})
    with SnakemakeApi(output) as snakemake:
        workflow = snakemake.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=(file,)),
            snakefile=REPOSITORY / "Snakefile",
            workdir=folder,
        )
        dag = workflow.dag(DAGSettings(targets={target}))
        dag.execute_workflow(executor="dryrun")
        jobs = workflow._workflow.dag.jobs  # all of them, as the folder is empty
        return dict(collections.Counter(job.rule.name for job in jobs))
