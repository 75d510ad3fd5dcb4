"""Finds the nearest neighbours of tuned prompts in the checkpoint's vocabulary."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import jobs_of, script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.checkpoints.load import pointed_to, read_embedding
    from promptscale.config.jobs import PromptTuningJob
    from promptscale.data.vocabulary import Vocabulary
    from promptscale.experiments.interpretability import run

    jobs = jobs_of(PromptTuningJob, snakemake)
    run(
        list(zip(jobs, map(Path, snakemake.input.prompts), strict=True)),
        read_embedding(pointed_to(snakemake.input.checkpoint)),
        Vocabulary(Path(snakemake.input.vocabulary)),
        summary=Path(snakemake.output.summary),
        neighbours=Path(snakemake.output.neighbours),
    )
