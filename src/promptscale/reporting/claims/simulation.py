"""Results drawn from the paper's own means and standard deviations.

Figures 1 and 3 give the mean and, where a band is visible, the standard deviation of every setting
and size; Tables 1 and 2 give them for shifted sets. Of the ensembles, Table 3 gives the mean and
the best of five prompts, which are 1.163 standard deviations apart in expectation. Scores are drawn
independently from normal distributions, three seeds for each mean (five for the prompts of an
ensemble).
"""

import numpy as np
import pandas as pd

from promptscale.config.axes import Row, Value, checkpoint_name
from promptscale.config.tasks import SUPER_GLUE, TASKS
from promptscale.reporting import paper
from promptscale.reporting.context import Context
from promptscale.reporting.runs_table import columns

SEEDS = 3
ENSEMBLE_SEEDS = 5
# Points; the standard deviation where the paper's band is hidden behind its line (appendix A.2).
HIDDEN_SD = 0.5
# The expected maximum of five standard normal values.
_BEST_OF_FIVE = 1.163
# About the mean of the best constant answers to SuperGLUE's dev sets (Tables 8 to 14).
_FLOOR = 45.0
_DEFAULT: dict[str, Value] = {
    "objective": "lm_adaptation",
    "adaptation_steps": 100_000,
    "prompt_length": 100,
    "initialization": "class_label",
}
_NO_PROMPT: dict[str, Value] = {
    "objective": "span_corruption",
    "adaptation_steps": 0,
    "prompt_length": 0,
    "initialization": "",
}
_DEFAULT_CURVES = dict.fromkeys(("length_100", "class_label", "lm_100000"), "prompt_tuning")
COLUMNS = ["panel", "curve", "size", "task", "eval_task", "mean", "sd"]


def of_panel(panel: str) -> pd.DataFrame:
    """What scores are drawn from, in a single panel.

    Args:
      panel: `1` (Figure 1), `a` to `d` (Figure 3), `shift` (Tables 1 and 2) or `ensemble`
        (Table 3).
    Returns:
      Columns `panel`, `curve` (as in figures.csv, but `prompt_tuning` for the default setting),
      `size`, `task` and `eval_task` (`super_glue`: all eight tasks have the same score), `mean` and
      `sd`.
    """
    if panel in ("shift", "ensemble"):
        table = _shifted() if panel == "shift" else _ensemble()
    else:
        figures = paper.numbers("figures")
        table = figures[figures["panel"].fillna("1") == panel]
        table = table[table["curve"] != "gpt3_prompt_design"]
        table = table.assign(task="super_glue", eval_task="super_glue")
    table = table.assign(
        panel=panel, curve=table["curve"].replace(_DEFAULT_CURVES), sd=table["sd"].fillna(HIDDEN_SD)
    )
    return table[COLUMNS].reset_index(drop=True)


def _shifted() -> pd.DataFrame:
    """Tables 1 and 2; the score of MRPC and QQP is the mean of accuracy and F1."""
    rows = []
    for row in paper.numbers("table1").to_dict("records"):
        if row["task"] != "squad":
            for name in ("model", "prompt"):
                scores = row[f"{name}_mean"], row[f"{name}_sd"]
                rows.append((f"{name}_tuning", "squad", row["task"], *scores))
    for row in paper.numbers("table2").to_dict("records"):
        mean = (row["accuracy_mean"] + row["f1_mean"]) / 2
        sd = (row["accuracy_sd"] + row["f1_sd"]) / 2  # the two metrics rise and fall together
        rows.append((row["method"], row["train"], row["eval"], mean, sd))
    table = pd.DataFrame(rows, columns=["curve", "task", "eval_task", "mean", "sd"])
    return table.assign(size="xxl")


def _ensemble() -> pd.DataFrame:
    """Table 3: the single prompts and the ensemble, by task."""
    printed = paper.numbers("table3")
    table = printed[printed["task"] != "super_glue"].groupby("task")[
        ["average", "best", "ensemble"]
    ].mean()  # fmt: skip
    table = table.reset_index()
    sd = (table["best"] - table["average"]) / _BEST_OF_FIVE
    single = table.assign(curve="prompt_tuning", mean=table["average"], sd=sd)
    voted = table.assign(curve="prompt_ensemble", mean=table["ensemble"], sd=0.0)
    both = pd.concat([single, voted])
    return both.assign(size="xxl", eval_task=both["task"])


def drawn(distribution: pd.DataFrame, generator: np.random.Generator) -> Context:
    """Results with scores drawn from the `distribution` of a panel."""
    rows = [row for cell in distribution.to_dict("records") for row in _rows(cell, generator)]
    runs = pd.DataFrame(rows).assign(
        checkpoint="", pretraining_seed=0, step=1, metric="score", selected=True, wall_seconds=0.0,
        accelerator_seconds=0.0, origin="real", label="T5 1.1",
    )  # fmt: skip
    runs["value"] = runs["value"].clip(0, 100)
    context = Context({}, _DEFAULT)
    vars(context).update(  # in place of tables that are read from files
        runs=runs[columns()], majority=pd.Series(_FLOOR, index=list(TASKS), dtype=float)
    )
    return context


def _rows(cell: Row, generator: np.random.Generator) -> list[Row]:
    """The runs of a cell: a row per seed and evaluated task."""
    method, setting = _described(str(cell["curve"]))
    seeds = ENSEMBLE_SEEDS if cell["panel"] == "ensemble" else SEEDS
    if method == "prompt_ensemble":
        seeds = 1
    tasks = SUPER_GLUE if cell["task"] == "super_glue" else (cell["eval_task"],)
    scores = generator.normal(cell["mean"], cell["sd"], seeds)
    rows: list[Row] = []
    for seed, score in enumerate(scores):
        for task in tasks:
            trained = task if cell["task"] == "super_glue" else cell["task"]
            run = "/".join(map(str, (method, cell["size"], *setting.values(), trained, seed)))
            rows.append({
                "run": run, "method": method, "size": cell["size"], "task": trained,
                "eval_task": task, "seed": seed, "value": score, **setting,
            })  # fmt: skip
    return rows


def _described(curve: str) -> tuple[str, dict[str, Value]]:
    """The method and the setting of a curve of figures.csv."""
    if curve.startswith("model_tuning"):
        return curve, _NO_PROMPT
    if curve == "prompt_ensemble":
        return curve, _DEFAULT
    if curve.startswith("length_"):
        return "prompt_tuning", _DEFAULT | {"prompt_length": int(curve.removeprefix("length_"))}
    if curve.startswith("span_corruption"):
        return "prompt_tuning", _DEFAULT | {"objective": curve, "adaptation_steps": 0}
    if curve.startswith(checkpoint_name(1).removesuffix("1")):
        return "prompt_tuning", _DEFAULT | {"adaptation_steps": int(curve.split("_")[1])}
    if curve == "prompt_tuning":
        return curve, _DEFAULT
    return "prompt_tuning", _DEFAULT | {"initialization": curve}
