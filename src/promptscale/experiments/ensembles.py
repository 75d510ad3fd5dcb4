"""Prompt ensembling (section 6): several prompts on a frozen model vote on every example.

The paper says "simple majority voting" and leaves open what counts as a vote for free-form answers
and how ties are broken. Here votes are counted on what the metric sees: the class where a task has
labels, the normalised answer elsewhere. Of the answers with most votes, that of the
earliest prompt wins. An illegal output counts as a vote.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from promptscale.config.jobs import PromptTuningJob
from promptscale.config.tasks import Task
from promptscale.config.tasks import task as task_named
from promptscale.data.prepared import read, read_rows
from promptscale.errors import ResultsError
from promptscale.evaluation import metrics
from promptscale.reporting.runs_table import write_runs


def vote(task: Task, predictions: Sequence[Sequence[str]]) -> list[str]:
    """The winning text of each example.

    `predictions` has the texts of each prompt for all examples, in the order that breaks ties.
    """
    return [_winner(task, texts) for texts in zip(*predictions, strict=True)]


def _winner(task: Task, texts: Sequence[str]) -> str:
    ballots = [
        metrics.class_id(task, text) if task.labels else metrics.normalize_answer(text)
        for text in texts
    ]
    return texts[ballots.index(statistics.mode(ballots))]  # of several modes, mode is the first


def run(
    parts: Sequence[tuple[PromptTuningJob, Path]], prepared: Mapping[str, Path], path: Path
) -> None:
    """Writes the metrics of the ensembles: the prompts of all jobs vote on every task.

    Args:
      parts: jobs of a setting and size that differ in seeds (or tasks), each with the folder of
        its predictions.
      prepared: the prefix of each task's prepared validation split.
      path: the `metrics.csv` to write.
    Raises:
      ResultsError: predictions are not of the prepared examples.
    """
    jobs = [job for job, _ in parts]
    rows = []
    for name in dict.fromkeys(task for job in jobs for task in job.tasks):
        task, examples = task_named(name), read(prepared[name]).rows()
        files = {
            seed: folder / name / f"seed_{seed}" / f"{name}.jsonl"
            for job, folder in parts
            if name in job.tasks
            for seed in job.seeds
        }
        answers = [_answers(files[seed], examples) for seed in sorted(files)]
        described = {
            **jobs[0].description,
            "method": "prompt_ensemble",
            "run": f"{jobs[0].stem}/{name}".replace("prompt_tuning", "prompt_ensemble", 1),
            "task": name,
            "eval_task": name,
            "seed": 0,
            "step": 0,
            "selected": True,
            "wall_seconds": 0.0,
            "accelerator_seconds": 0.0,
        }
        scores = metrics.score(task, vote(task, answers), examples)
        rows += [{**described, "metric": metric, "value": x} for metric, x in scores.items()]
    write_runs([pd.DataFrame(rows)], path)


def _answers(path: Path, examples: Sequence[Mapping[str, Any]]) -> list[str]:
    """The predicted texts of a prompt, checked to be of these examples."""
    rows = read_rows(path, ("id", "prediction"))
    if [row["id"] for row in rows] != [example["id"] for example in examples]:
        raise ResultsError(
            f"The predictions in {path} are not of the prepared validation examples; "
            "make them anew."
        )
    return [row["prediction"] for row in rows]
