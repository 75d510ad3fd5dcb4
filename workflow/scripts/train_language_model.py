"""Trains a language model: pre-training or LM adaptation."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import job_of, layout_of, script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.checkpoints.load import point_to, pointed_to
    from promptscale.config.jobs import LanguageModelingJob
    from promptscale.experiments.language_modeling import Files, run

    start = snakemake.input.get("checkpoint")
    files = Files(
        checkpoint=pointed_to(start) if start else None,
        vocabulary=Path(snakemake.input.vocabulary),
        text=snakemake.input.text,
        model=snakemake.resources.model,
        losses=Path(snakemake.output.losses),
        state=snakemake.resources.state,
    )
    run(job_of(LanguageModelingJob, snakemake), files, layout_of(snakemake))
    point_to(files.model, Path(snakemake.output.pointer))
