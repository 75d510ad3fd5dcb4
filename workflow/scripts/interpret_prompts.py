"""Finds the nearest neighbours of tuned prompts in the checkpoint's vocabulary."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import parse_jobs, script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.checkpoints.pointer import read_pointer
    from promptscale.checkpoints.read import read_embedding
    from promptscale.config.jobs import PromptTuningJob
    from promptscale.data.vocabulary import Vocabulary
    from promptscale.experiments.interpretability import run

    jobs = parse_jobs(PromptTuningJob, snakemake)
    run(
        list(zip(jobs, map(Path, snakemake.input.prompts), strict=True)),
        read_embedding(read_pointer(snakemake.input.checkpoint)),
        Vocabulary(Path(snakemake.input.vocabulary)),
        summary=Path(snakemake.output.summary),
        neighbours=Path(snakemake.output.neighbours),
    )
