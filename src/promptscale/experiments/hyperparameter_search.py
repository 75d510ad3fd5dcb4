"""Collects the trials of a hyperparameter search (appendix A.1, Table 6)."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from promptscale.config.jobs import PromptTuningJob
from promptscale.reporting.runs_table import read_runs, selected_scores
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
        none), `score`, `origin`, `label`.
    """
    rows = []
    for job, metrics in parts:
        scores = selected_scores(read_runs(metrics)).set_index("run")["score"]
        for index, optimizer in enumerate(job.trials):
            of_trial = [scores[job.run_name(run)] for run in job.runs if run.trial == index]
            settings = job.settings.model_dump() | optimizer.model_dump()
            rows.append({
                "size": job.size,
                **{name: settings[name] for name in _SETTINGS},
                "score": sum(of_trial) / len(of_trial),
                "origin": job.origin,
                "label": job.label,
            })  # fmt: skip
    table = pd.DataFrame(rows).sort_values("score", ascending=False, ignore_index=True)
    table.insert(0, "trial", range(1, len(table) + 1))
    with atomic_write(path) as partial:
        table.to_csv(partial, index=False)
