"""Runs a tuning job: prompts are trained on a frozen model, or the model is."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import (
    device_layout,
    job_digest,
    parse_job,
    script_setup,
    split_prefixes,
)

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.checkpoints.pointer import read_pointer
    from promptscale.config.jobs import AnyTuningJob
    from promptscale.experiments.tuning import Files, run

    outputs = {name: Path(path) for name, path in snakemake.output.items()}
    start = snakemake.input.get("initialization")
    files = Files(
        checkpoint=read_pointer(snakemake.input.checkpoint),
        vocabulary=Path(snakemake.input.vocabulary),
        train=split_prefixes(snakemake.input.train),
        validation=split_prefixes(snakemake.input.validation),
        metrics=outputs["metrics"],
        predictions=outputs.get("predictions"),
        prompts=outputs.get("prompts"),
        state=snakemake.resources.state,
        initialization=Path(start) if start else None,
        digest=job_digest(snakemake),
    )
    run(parse_job(AnyTuningJob, snakemake), files, device_layout(snakemake))
