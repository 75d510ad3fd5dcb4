"""Evaluates a frozen model with worked examples as its prompt."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import device_layout, parse_job, script_setup, split_prefixes

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.checkpoints.pointer import read_pointer
    from promptscale.config.jobs import PromptDesignJob
    from promptscale.experiments.prompt_design import Files, run

    files = Files(
        checkpoint=read_pointer(snakemake.input.checkpoint),
        vocabulary=Path(snakemake.input.vocabulary),
        train=split_prefixes(snakemake.input.train),
        validation=split_prefixes(snakemake.input.validation),
        metrics=Path(snakemake.output.metrics),
        predictions=Path(snakemake.output.predictions),
    )
    run(parse_job(PromptDesignJob, snakemake), files, device_layout(snakemake))
