"""Ranks the trials of the hyperparameter search."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import jobs_of, script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.config.jobs import PromptTuningJob
    from promptscale.experiments.hyperparameter_search import collect

    jobs = jobs_of(PromptTuningJob, snakemake)
    collect(list(zip(jobs, map(Path, snakemake.input), strict=True)), Path(snakemake.output[0]))
