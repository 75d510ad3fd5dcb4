"""Runs a tuning job: prompts are trained on a frozen model, or the model is."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import job_of, layout_of, script, splits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.checkpoints.load import pointed_to
    from promptscale.config.jobs import AnyTuningJob
    from promptscale.experiments.tuning import Files, run

    outputs = {name: Path(path) for name, path in snakemake.output.items()}
    start = snakemake.input.get("initialization")
    files = Files(
        checkpoint=pointed_to(snakemake.input.checkpoint),
        vocabulary=Path(snakemake.input.vocabulary),
        train=splits(snakemake.input.train),
        validation=splits(snakemake.input.validation),
        metrics=outputs["metrics"],
        predictions=outputs.get("predictions"),
        prompts=outputs.get("prompts"),
        state=snakemake.resources.state,
        initialization=Path(start) if start else None,
    )
    run(job_of(AnyTuningJob, snakemake), files, layout_of(snakemake))
