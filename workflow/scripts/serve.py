"""Serves requests of all tasks with a frozen model, mixed and task by task."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import jobs_of, layout_of, script, splits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.checkpoints.load import pointed_to
    from promptscale.config.jobs import PromptTuningJob
    from promptscale.experiments.serving import Files, run

    jobs = jobs_of(PromptTuningJob, snakemake)
    prompts = {
        task: Path(folder, task, f"seed_{job.seeds[0]}.npy")
        for job, folder in zip(jobs, snakemake.input.prompts, strict=True)
        for task in job.tasks
    }
    files = Files(
        checkpoint=pointed_to(snakemake.input.checkpoint),
        prompts=prompts,
        validation=splits(snakemake.input.validation),
        table=Path(snakemake.output[0]),
    )
    run(jobs[0], list(prompts), files, layout_of(snakemake))
