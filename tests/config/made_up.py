"""Results of a configuration that nothing has computed: every table that the reports read."""

import random
from pathlib import Path
from typing import Any

import pandas as pd

from promptscale.config import grid, outputs
from promptscale.config.axes import describe
from promptscale.config.schema import Config
from promptscale.config.tasks import TASKS
from promptscale.reporting import error_modes, neighbours, runs_table
from promptscale.reporting.context import Context


def context(config: Config, folder: Path) -> Context:
    """Writes all tables of results into `folder`, and the context that reads them."""
    runs_table.write_runs([pd.DataFrame(_run_rows(config))], folder / "runs.csv")
    tables = {"datasets": _datasets(config), "majority": _majority(config)}
    tables |= {"serving": _serving(config), "domain_words": _domain_words(config)}
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    if modes := _error_modes(config):
        error_modes.write(pd.DataFrame(modes), folder / "error_modes.csv")
    neighbours.write(pd.DataFrame(_neighbours(config)), folder / "interpretability.csv")
    return Context.of(
        {path.stem: path for path in folder.glob("*.csv")},
        describe(config.default_setting),
        {name: vars(architecture) for name, architecture in config.architectures.items()},
        config.convergence.task if config.convergence else "boolq",
    )


def _run_rows(config: Config) -> list[dict[str, Any]]:
    draw = random.Random(0)
    rows: list[dict[str, Any]] = []

    def add(description: dict[str, Any], task: str, steps: list[int]) -> None:
        for step in steps:
            for metric in (*TASKS[task].metrics, "score"):
                rows.append({
                    **description, "eval_task": task, "step": step, "metric": metric,
                    "value": draw.uniform(0, 100), "selected": step == steps[-1],
                    "wall_seconds": float(step), "accelerator_seconds": 2.0 * step,
                })  # fmt: skip

    for job in grid.all_jobs(config).values():
        trained = job.method != "prompt_design"
        for run in job.runs:
            named = {"run": job.run_name(run), "task": run.task, "seed": run.seed}
            for task in job.reported_tasks(run):
                add({**job.description, **named}, task, [1, 2] if trained else [0])
    for jobs in grid.ensemble_jobs(config).values():
        for task in config.tasks:
            name = f"prompt_ensemble/{jobs[0].stem}/{task}"
            named = {"run": name, "task": task, "seed": 0, "method": "prompt_ensemble"}
            add({**jobs[0].description, **named}, task, [0])
    return rows


def _datasets(config: Config) -> list[dict[str, Any]]:
    return [
        {"task": task, "split": split, "examples": 6, "label": label, "count": 3}
        for task, split in outputs.splits(config)
        for label in (("False", "True") if task == "wsc" else TASKS[task].labels or ("",))
    ]


def _majority(config: Config) -> list[dict[str, Any]]:
    splits = outputs.splits(config)
    return [{"task": task, "score": 40.0} for task, split in splits if split == "validation"]


def _serving(config: Config) -> list[dict[str, Any]]:
    return [
        {"size": outputs.largest_size(config), "work": work, "prompts": 3, "requests": 64,
         "per_prompt": batch, "identical": 1.0, "together_per_second": 2.0,
         "separate_per_second": 1.0, "device": "cpu", "origin": config.origin,
         "label": config.label}
        for work in ("tasks", "ensemble")
        for batch in (1, 4)
    ]  # fmt: skip


def _error_modes(config: Config) -> list[dict[str, Any]]:
    return [
        {**job.description, "task": run.task, "seed": run.seed, "mode": mode, "count": 2}
        for job in outputs.labelled_jobs(config)
        for run in job.runs
        if TASKS[run.task].labels
        for mode in error_modes.MODES
    ]


def _neighbours(config: Config) -> list[dict[str, Any]]:
    return [
        {"size": job.size, "task": run.task, "seed": run.seed, "origin": config.origin,
         "label": config.label, "initialization": job.settings.initialization.method,
         "prompt_length": job.prompt_length, "labels": 2, "labels_persisting": 1,
         "labels_found": 1, "rows_per_label": 1.0, "duplicates": 0.5, "cohesion": 0.5,
         "cohesion_random": 0.1, "duplicates_random": 0.1}
        for job in grid.prompt_jobs(config, "initialization")
        for run in job.runs
    ]  # fmt: skip


def _domain_words(config: Config) -> list[dict[str, Any]]:
    return [
        {"size": size, "task": task, "word": "science", "tokens": 3, "tokens_elsewhere": 1,
         "log_odds": 1.0, "z": 2.0, "origin": config.origin, "label": config.label}
        for size in config.sizes for task in config.tasks
    ]  # fmt: skip
