"""Evaluates a frozen model with worked examples as its prompt."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import job_of, layout_of, script, splits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.checkpoints.load import pointed_to
    from promptscale.config.jobs import PromptDesignJob
    from promptscale.experiments.prompt_design import Files, run

    files = Files(
        checkpoint=pointed_to(snakemake.input.checkpoint),
        vocabulary=Path(snakemake.input.vocabulary),
        train=splits(snakemake.input.train),
        validation=splits(snakemake.input.validation),
        metrics=Path(snakemake.output.metrics),
        predictions=Path(snakemake.output.predictions),
    )
    run(job_of(PromptDesignJob, snakemake), files, layout_of(snakemake))
