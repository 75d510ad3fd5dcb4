"""Counts the error modes of tuned prompts from the predictions that their jobs left."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from promptscale.config.jobs import PromptTuningJob
from promptscale.config.tasks import task as task_named
from promptscale.data.prepared import read_rows
from promptscale.evaluation.error_modes import error_mode
from promptscale.reporting import error_modes


def count(parts: Sequence[tuple[PromptTuningJob, Path]], path: Path) -> None:
    """Writes how many predictions of each run have each mode; tasks without labels are left out.

    Args:
      parts: jobs, of which a task has labels, each with the folder of its predictions.
      path: the table (`promptscale.reporting.error_modes`).
    Raises:
      DataError: predictions are missing or damaged.
    """
    rows = []
    for job, folder in parts:
        for run in job.runs:
            task = task_named(run.task)
            if not task.labels:
                continue
            file = folder / run.task / f"seed_{run.seed}" / f"{run.task}.jsonl"
            predictions = read_rows(file, ("inputs", "prediction"))
            modes = Counter(
                error_mode(task, row["prediction"], row["inputs"]) for row in predictions
            )
            described = {**job.description, "task": run.task, "seed": run.seed}
            rows += [
                {**described, "mode": mode, "count": modes[mode]} for mode in error_modes.MODES
            ]
    error_modes.write(pd.DataFrame(rows), path)
