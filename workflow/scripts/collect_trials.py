"""Ranks the trials of the hyperparameter search."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import parse_jobs, script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.config.jobs import AnyTuningJob
    from promptscale.experiments.hyperparameter_search import collect

    jobs = parse_jobs(AnyTuningJob, snakemake)
    collect(list(zip(jobs, map(Path, snakemake.input), strict=True)), Path(snakemake.output[0]))
