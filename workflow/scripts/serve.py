"""Serves requests of all tasks with a frozen model, mixed and task by task."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import device_layout, parse_jobs, script_setup, split_prefixes

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.checkpoints.pointer import read_pointer
    from promptscale.config.jobs import PromptTuningJob
    from promptscale.experiments.serving import Files, run

    jobs = parse_jobs(PromptTuningJob, snakemake)
    prompts = {
        task: Path(folder, task, f"seed_{job.seeds[0]}.npy")
        for job, folder in zip(jobs, snakemake.input.prompts, strict=True)
        for task in job.tasks
    }
    files = Files(
        checkpoint=read_pointer(snakemake.input.checkpoint),
        prompts=prompts,
        validation=split_prefixes(snakemake.input.validation),
        table=Path(snakemake.output[0]),
    )
    run(jobs[0], list(prompts), files, device_layout(snakemake))
