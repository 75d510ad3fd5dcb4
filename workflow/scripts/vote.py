"""Lets the prompts of all seeds vote on every example."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import jobs_of, script, splits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.config.jobs import PromptTuningJob
    from promptscale.experiments.ensembles import run

    jobs = jobs_of(PromptTuningJob, snakemake)
    predictions = map(Path, snakemake.input.predictions)
    run(
        list(zip(jobs, predictions, strict=True)),
        splits(snakemake.input.rows),
        Path(snakemake.output[0]),
    )
