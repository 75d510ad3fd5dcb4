"""One tuning job: prompts on a frozen model, or the model itself."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.scripting import job_of, script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.config.grid import TuningJob
    from promptscale.tuning import Files, run

    files = Files(
        checkpoint=snakemake.input.checkpoint,
        vocabulary=Path(snakemake.input.vocabulary),
        train=Path(snakemake.input.train).with_suffix(""),
        validation=Path(snakemake.input.validation).with_suffix(""),
        metrics=Path(snakemake.output.metrics),
        prompts=tuple(map(Path, snakemake.output.get("prompts", []))),
        predictions=tuple(map(Path, snakemake.output.predictions)),
        state=Path(snakemake.params.state),
    )
    run(job_of(TuningJob, snakemake), files)
