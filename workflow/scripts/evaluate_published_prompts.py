"""Evaluates published prompts on a frozen model."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import device_layout, parse_job, script_setup, split_prefixes

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.checkpoints.pointer import read_pointer
    from promptscale.config.jobs import PromptTuningJob
    from promptscale.experiments.published_prompts import Files, run

    files = Files(
        checkpoint=read_pointer(snakemake.input.checkpoint),
        vocabulary=Path(snakemake.input.vocabulary),
        prompts={path.stem: path for path in map(Path, snakemake.input.prompts)},
        validation=split_prefixes(snakemake.input.validation),
        table=Path(snakemake.output.table),
        predictions=Path(snakemake.output.predictions),
    )
    run(parse_job(PromptTuningJob, snakemake), files, device_layout(snakemake))
