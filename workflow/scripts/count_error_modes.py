"""Counts the error modes of prompts from their predictions."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import parse_jobs, script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.config.jobs import PromptTuningJob
    from promptscale.experiments.error_modes import count

    jobs = parse_jobs(PromptTuningJob, snakemake)
    count(list(zip(jobs, map(Path, snakemake.input), strict=True)), Path(snakemake.output[0]))
