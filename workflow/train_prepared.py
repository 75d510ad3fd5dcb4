"""Runs a configuration's tuning jobs without Snakemake: python workflow/train_prepared.py CONFIG.

For a machine that has JAX and an accelerator and cannot be set up, as it reaches no network. The
prepared data, the vocabulary and the checkpoints' pointers come from a machine with Snakemake; the
results go back there, into the same places, and `snakemake --rerun-triggers mtime` goes on from
them. Jobs whose metrics are there are skipped.
"""

import logging
import sys
from pathlib import Path

from promptscale.config import grid, outputs
from promptscale.config.jobs import AnyJob, PromptDesignJob
from promptscale.config.load import load_config
from promptscale.config.schema import Config
from promptscale.distributed.environment import configure_jax
from promptscale.errors import PromptscaleError
from promptscale.planning.machine import available_cores


def train(config: Config, job: AnyJob) -> None:
    """Runs a job on the files that the workflow's rules name."""
    from promptscale.checkpoints.pointer import read_pointer
    from promptscale.experiments import prompt_design, tuning

    results = Path(config.paths.results)
    folder = results / "runs" / job.name
    if (folder / "metrics.csv").exists():
        return
    splits = {
        split: {task: results / "data" / task / split for task in tasks}
        for split, tasks in (("train", job.train_tasks), ("validation", job.evaluated_tasks))
    }
    files = {
        "checkpoint": read_pointer(f"{results}/models/{job.size}/{job.checkpoint}/model.json"),
        "vocabulary": Path(outputs.vocabulary(config)),
        **splits,
        "metrics": folder / "metrics.csv",
        "predictions": folder / "predictions",
    }
    if isinstance(job, PromptDesignJob):
        prompt_design.run(job, prompt_design.Files(**files))
        return
    state = f"{outputs.state_folder(config)}/runs/{job.name}"
    prompts = folder / "prompts" if job.method == "prompt_tuning" else None
    tuning.run(job, tuning.Files(**files, state=state, prompts=prompts))


def main() -> None:
    """Runs the jobs one after another."""
    config = load_config(Path(sys.argv[1]))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    configure_jax(available_cores(), Path(config.paths.results, "state", "compiled"))
    for job in grid.all_jobs(config).values():
        train(config, job)


if __name__ == "__main__":
    try:
        main()
    except PromptscaleError as error:
        sys.exit(str(error))
