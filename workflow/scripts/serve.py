"""Serves requests with several prompts on a frozen model, together and by prompt."""

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
    prompts: dict[str, list[Path]] = {}
    for job, folder in zip(jobs, snakemake.input.prompts, strict=True):
        for run_ in job.runs:
            path = Path(folder, run_.task, f"seed_{run_.seed}.npy")
            prompts.setdefault(run_.task, []).append(path)
    files = Files(
        checkpoint=read_pointer(snakemake.input.checkpoint),
        prompts=prompts,
        validation=split_prefixes(snakemake.input.validation),
        table=Path(snakemake.output[0]),
    )
    run(jobs[0], files, device_layout(snakemake))
