"""Trains a language model: pre-training or LM adaptation."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import device_layout, job_digest, parse_job, script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.checkpoints.pointer import read_pointer, write_pointer
    from promptscale.config.jobs import LanguageModelingJob
    from promptscale.experiments.language_modeling import Files, run

    start = snakemake.input.get("checkpoint")
    files = Files(
        checkpoint=read_pointer(start) if start else None,
        vocabulary=Path(snakemake.input.vocabulary),
        text=snakemake.input.text,
        model=snakemake.resources.model,
        losses=Path(snakemake.output.losses),
        state=snakemake.resources.state,
        digest=job_digest(snakemake),
    )
    run(parse_job(LanguageModelingJob, snakemake), files, device_layout(snakemake))
    write_pointer(files.model, files.digest, Path(snakemake.output.pointer))
