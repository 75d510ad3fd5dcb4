"""Counts the runs and jobs of a configuration before anything starts."""

import collections
from collections.abc import Iterator
from typing import Any

from promptscale.config import axes, grid, outputs
from promptscale.config.jobs import AnyJob
from promptscale.config.schema import Config


def run_table(config: Config) -> list[dict[str, Any]]:
    """The run table: a row per training or evaluation of text prompts, without repetitions.

    Columns: `run`, `kind` (the first purpose of the run), `method`, `size`, `checkpoint`, `task`,
    the columns of the prompts' settings (`prompt_length`, `initialization`, and those of further
    axes of the ablations), `sentinel`, `seed`, `job`.
    """
    prompt_columns = [column.name for column in axes.columns() if column.absent is not None]
    rows: dict[str, dict[str, Any]] = {}
    for kind, job in _kinds(config):
        description = job.description
        for run in job.runs:
            name = job.run_name(run)
            rows.setdefault(name, {
                "run": name,
                "kind": kind,
                "method": job.method,
                "size": job.size,
                "checkpoint": job.checkpoint,
                "task": run.task,
                **{column: description[column] for column in prompt_columns},
                "sentinel": description["objective"].endswith("_sentinel"),
                "seed": run.seed,
                "job": job.name,
            })  # fmt: skip
    return list(rows.values())


def _kinds(config: Config) -> Iterator[tuple[str, AnyJob]]:
    yield from (("prompt_tuning", job) for job in grid.prompt_jobs(config))
    yield from (("convergence", job) for job in grid.convergence_jobs(config))
    for jobs in grid.ensemble_jobs(config).values():
        yield from (("ensembles", job) for job in jobs)
    yield from ((job.method, job) for job in grid.model_jobs(config))
    for job in grid.domain_shift_jobs(config):
        yield f"domain_shift_{job.method}", job
    yield from (("prompt_design", job) for job in grid.prompt_design_jobs(config))


def trainings(config: Config) -> dict[str, int]:
    """The number of trainings by kind, language models included; every run of a job counts."""
    kinds = collections.Counter(row["kind"] for row in run_table(config))
    kinds["language_modeling"] = len(outputs.trained_checkpoints(config))
    return {kind: count for kind, count in kinds.items() if count and kind != "prompt_design"}


def jobs(config: Config) -> dict[str, int]:
    """The number of Snakemake's jobs by rule for the target `all` where no results exist."""
    tuning = collections.Counter(job.method for job in grid.all_jobs(config).values())
    models, trained = outputs.checkpoints(config), outputs.trained_checkpoints(config)
    counts = {
        "generate_world": int(config.data.generated),
        "fetch_vocabulary": int(not config.data.generated),
        "prepare_tasks": int(config.data.generated),
        "prepare_task": 0 if config.data.generated else len(outputs.splits(config)),
        "prepare_text": config.data.corpus_shards_used if trained else 0,
        "train_language_model": len(trained),
        "import_checkpoint": len(models) - len(trained),
        "train_prompts": tuning["prompt_tuning"],
        "tune_model": tuning["model_tuning"] + tuning["model_tuning_multitask"],
        "evaluate_text_prompts": tuning["prompt_design"],
        "vote": len(grid.ensemble_jobs(config)),
        "collect_runs": 1,
        "collect_datasets": 1,
        "interpret_prompts": len(config.sizes)
        * len(grid.checkpoints_of(config, config.default_checkpoint)),
        "collect_interpretability": 1,
        "collect_predictions": 1,
        "serve": int(len(config.tasks) > 1),
        "count_error_modes": int(bool(outputs.labelled_jobs(config))),
        "figures": 1,
        "tables": 1,
        "claims": 1,
        "page": 1,
        "all": 1,
    }
    return {rule: count for rule, count in counts.items() if count}
