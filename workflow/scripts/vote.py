"""Lets the prompts of all seeds vote on every example."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import parse_jobs, script_setup, split_prefixes

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.config.jobs import PromptTuningJob
    from promptscale.experiments.ensembles import run

    jobs = parse_jobs(PromptTuningJob, snakemake)
    predictions = map(Path, snakemake.input.predictions)
    run(
        list(zip(jobs, predictions, strict=True)),
        split_prefixes(snakemake.input.rows),
        Path(snakemake.output[0]),
    )
