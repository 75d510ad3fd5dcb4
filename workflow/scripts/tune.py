"""One tuning job: prompts on a frozen model, or the model itself."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import job_of, layout_of, script, splits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.checkpoints.load import pointed_to
    from promptscale.config.jobs import TuningSpecification
    from promptscale.experiments.tuning import Files, run

    kept = {name: Path(path) for name, path in snakemake.output.items()}
    start = snakemake.input.get("initialization")
    files = Files(
        checkpoint=pointed_to(snakemake.input.checkpoint),
        vocabulary=Path(snakemake.input.vocabulary),
        train=splits(snakemake.input.train),
        validation=splits(snakemake.input.validation),
        metrics=kept["metrics"],
        predictions=kept.get("predictions"),
        prompts=kept.get("prompts"),
        state=snakemake.resources.state,
        initialization=Path(start) if start else None,
    )
    run(job_of(TuningSpecification, snakemake), files, layout_of(snakemake))
