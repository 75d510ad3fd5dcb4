"""Menus of runs say what tells a run apart, and the summary counts seeds and tasks."""

import pandas as pd

from promptscale.reporting.page import summary
from promptscale.reporting.page.run_labels import run_labels
from promptscale.reporting.runs_table import columns
from tests.reporting.conftest import made, run_rows


def rows_of(name: str, eval_task: str = "", **columns) -> list[dict]:
    """The rows of a run that is called `name`."""
    method, size, *_, task, seed = name.split("/")
    rows = run_rows(method, size, task, int(seed[-1]), 50.0, eval_tasks=(eval_task or task,))
    return [row | {"run": name} | columns for row in rows]


def context(*runs: list[dict]):
    return made(pd.DataFrame([row for rows in runs for row in rows], columns=columns()))


DEFAULT = "prompt_tuning/{size}/lm_400/length_20-class_label/{task}/seed_{seed}"


def default(size: str = "mini-xxl", task: str = "rte", seed: int = 0, **options) -> list[dict]:
    return rows_of(DEFAULT.format(size=size, task=task, seed=seed), **options)


def length(tokens: int, ending: str = "") -> list[dict]:
    name = f"prompt_tuning/mini-xxl/lm_400/length_{tokens}-class_label{ending}/rte/seed_0"
    other = {"prompt_length": tokens} if tokens != 20 else {"initialization": "random_uniform"}
    return rows_of(name, **other)


def test_a_label_says_what_differs_from_the_default_setting():
    labels = run_labels(
        context(
            default(), length(5), length(20, "-sentinel"), default(task="mrpc", eval_task="qqp"),
            rows_of("model_tuning/mini-xxl/span_corruption/rte/seed_1"),
        )
    )  # fmt: skip
    said = [(label.group, label.setting, label.seed) for label in labels.values()]
    tuned, model = "prompt tuning, mini-xxl", "model tuning, mini-xxl"
    whole = "default (lm_400, length_20-class_label)"
    assert said == [
        (tuned, whole, 0),
        (tuned, "length_5-class_label", 0),
        (tuned, "sentinel", 0),
        (tuned, f"{whole}, tuned on mrpc", 0),
        (model, "span_corruption", 1),
    ]


def test_large_models_and_the_default_come_first_and_numbers_count_as_numbers():
    labels = run_labels(
        context(
            rows_of("model_tuning/mini-xxl/span_corruption/rte/seed_0"), default("mini-small"),
            length(10), length(5), default(seed=1), default(),
        )
    )  # fmt: skip
    order = sorted(labels.values(), key=lambda label: label.place)
    assert [(label.setting.split(" ")[0], label.seed) for label in order] == [
        ("default", 0), ("default", 1), ("length_5-class_label", 0), ("length_10-class_label", 0),
        ("default", 0), ("span_corruption", 0),
    ]  # fmt: skip


def test_the_summary_counts_seeds_of_a_setting_and_tasks_that_were_tuned_on():
    ensemble = rows_of("prompt_ensemble/mini-xxl/x/rte/seed_0", prompt_length=20,
                       initialization="class_label")  # fmt: skip
    several = [default(seed=seed) for seed in (0, 1, 2)]
    fewer = [default("mini-small", seed=seed) for seed in (0, 1)]
    shifted = default(task="squad", eval_task="drop")
    squad = [default(task="squad", seed=seed) for seed in (0, 1)]
    counted = summary.runs(context(*several, *fewer, *squad, shifted, ensemble))
    assert counted["tasks"] == ["rte", "squad"]
    assert counted["further_tasks"] == ["drop"]
    assert counted["seeds"] == "2, 3 for ensembles"
    assert summary.runs(context(*several, *fewer))["seeds"] == "2 to 3"
