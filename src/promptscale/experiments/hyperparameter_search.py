"""Collects the trials of a hyperparameter search (appendix A.1, Table 6)."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from promptscale.config.jobs import PromptTuningJob
from promptscale.reporting.runs_table import diverged, read_runs, selected_scores
from promptscale.storage.atomic import atomic_write

_SETTINGS = (
    "learning_rate", "parameter_scaling", "batch_size", "steps", "warmup_steps", "decay_factor",
    "steps_per_decay",
)  # fmt: skip


def collect(parts: Sequence[tuple[PromptTuningJob, Path]], path: Path) -> None:
    """Writes a row per trial: its settings and its mean score over tasks, best first.

    Args:
      parts: the search's jobs, each with its `metrics.csv`.
      path: the table, with the columns `trial`, `size`, the settings (`decay_factor` is empty for
        none), `score`, `diverged` (the number of runs that diverged), `origin`, `label`.
    """
    rows = []
    for job, metrics in parts:
        runs = read_runs(metrics)
        scores = selected_scores(runs).set_index("run")["score"]
        for index, optimizer in enumerate(job.trials):
            names = [job.run_name(run) for run in job.runs if run.trial == index]
            settings = job.settings.model_dump() | optimizer.model_dump()
            rows.append({
                "size": job.size,
                **{name: settings[name] for name in _SETTINGS},
                "score": scores[names].mean(),
                "diverged": len(diverged(runs).intersection(names)),
                "origin": job.origin,
                "label": job.label,
            })  # fmt: skip
    table = pd.DataFrame(rows).sort_values("score", ascending=False, ignore_index=True)
    table.insert(0, "trial", range(1, len(table) + 1))
    with atomic_write(path) as partial:
        table.to_csv(partial, index=False)
