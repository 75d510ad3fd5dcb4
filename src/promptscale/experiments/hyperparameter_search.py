"""Collects the trials of a hyperparameter search (appendix A.2, Table 6)."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from promptscale.config.jobs import TuningJob
from promptscale.reporting.runs_table import diverged, read_runs, selected_scores
from promptscale.storage.atomic import atomic_write

_SETTINGS = (
    "learning_rate", "parameter_scaling", "batch_size", "steps", "warmup_steps", "decay_factor",
    "steps_per_decay",
)  # fmt: skip


def collect(parts: Sequence[tuple[TuningJob, Path]], path: Path) -> None:
    """Writes a row per trial: its settings and its mean score over tasks, best first.

    Args:
      parts: the search's jobs, each with its `metrics.csv`; a trial may be in several jobs.
      path: the table, with the columns `trial` (the rank), `method`, `size`, the settings
        (`decay_factor` is empty for none), `score`, `diverged` (the number of runs that diverged),
        `origin`, `label`.
    """
    rows = []
    for job, metrics in parts:
        runs = read_runs(metrics)
        scores, stopped = selected_scores(runs).set_index("run")["score"], diverged(runs)
        for run, optimizer in zip(job.runs, job.optimizers, strict=True):
            name, settings = job.run_name(run), job.settings.model_dump() | optimizer.model_dump()
            rows.append({
                "trial": run.trial,
                "method": job.method,
                "size": job.size,
                **{key: settings[key] for key in _SETTINGS},
                "origin": job.origin,
                "label": job.label,
                "score": scores[name],
                "diverged": name in stopped,
            })  # fmt: skip
    frame = pd.DataFrame(rows).astype({"decay_factor": float})
    described = list(frame.columns[:-2])
    table = frame.groupby(described, dropna=False, as_index=False).agg(
        score=("score", "mean"), diverged=("diverged", "sum")
    )
    table = table.sort_values("score", ascending=False, ignore_index=True)
    with atomic_write(path) as partial:
        table.assign(trial=range(1, len(table) + 1)).to_csv(partial, index=False)
