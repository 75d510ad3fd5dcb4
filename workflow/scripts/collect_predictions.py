"""Counts the outcomes of all predictions, and collects those of some examples."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import parse_jobs, script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.config.jobs import AnyJob
    from promptscale.experiments.predictions import collect

    collect(
        list(zip(parse_jobs(AnyJob, snakemake), map(Path, snakemake.input), strict=True)),
        {name: Path(path) for name, path in snakemake.output.items()},
    )
