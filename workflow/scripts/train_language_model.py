"""Pre-training or LM adaptation of one size."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.scripting import job_of, script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.config.jobs import LanguageModelingJob
    from promptscale.language_modeling import Files, run

    files = Files(
        checkpoint=snakemake.input.get("checkpoint") or None,
        vocabulary=Path(snakemake.input.vocabulary),
        text=tuple(map(Path, snakemake.input.text)),
        model=Path(snakemake.output.model),
        losses=Path(snakemake.output.losses),
        state=Path(snakemake.params.state),
    )
    run(job_of(LanguageModelingJob, snakemake), files)
