"""Section 3's error modes, from predictions to the table."""

import pytest

from promptscale.config import grid, outputs
from promptscale.config.axes import describe
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.config.tasks import task
from promptscale.data.prepared import write_rows
from promptscale.evaluation.error_modes import error_mode
from promptscale.experiments.error_modes import count
from promptscale.reporting import error_modes
from promptscale.reporting.context import Context
from promptscale.reporting.tables.error_modes import build
from tests.config.test_config import MINIATURE

INPUTS = "hypothesis: The True  story of Ann. premise: Ann sings."


@pytest.mark.parametrize(
    ("prediction", "mode"),
    [
        ("True", "label"),  # although it stands in the input, too
        ("", "empty"),
        (" ", "empty"),
        ("<extra_id_0>", "sentinel"),
        ("Ann sings <extra_id_1>", "sentinel"),
        ("story of Ann", "copy"),
        ("The True story", "copy"),  # spaces do not count
        ("Ann sing", "other"),  # part of a word
        ("true", "other"),  # case counts, as for labels
        ("Yes", "other"),
    ],
)
def test_the_mode_of_an_output(prediction, mode):
    assert error_mode(task("boolq"), prediction, INPUTS) == mode
    assert mode in error_modes.MODES


def test_modes_are_counted_by_run_and_shown_by_size_and_objective(tmp_path):
    content = MINIATURE | {"sizes": ["mini-small"], "tasks": ["boolq", "record"], "seeds": [0, 1]}
    content |= dict.fromkeys(("domain_shift", "ensembles", "convergence"))
    config = validate(Config, content | {"hyperparameter_search": None}, "")
    jobs = outputs.labelled_jobs(config)
    assert {job.settings.sentinel for job in jobs} == {False, True}
    parts = []
    for number, job in enumerate(jobs):
        folder = tmp_path / str(number)
        for run in job.runs:
            adapted = job.checkpoint.startswith("lm_")
            said = ["True", "False"] if adapted else ["", "Ann" if run.seed else "<extra_id_0>"]
            rows = [{"inputs": INPUTS, "prediction": text} for text in said]
            write_rows(folder / run.task / f"seed_{run.seed}" / f"{run.task}.jsonl", rows)
        parts.append((job, folder))
    count(parts, tmp_path / "error_modes.csv")
    counts = error_modes.read(tmp_path / "error_modes.csv")
    assert set(counts["task"]) == {"boolq"}  # ReCoRD has no labels
    assert set(counts.groupby(["objective", "seed"])["count"].sum()) == {2}
    default = describe(config.default_setting)
    table = build(Context.of({"error_modes": tmp_path / "error_modes.csv"}, default, {}))
    wrong = ("0.0", "50.0", "25.0", "25.0", "0.0", "2 of 2")
    assert [row[1:] for row in table.rows] == [
        ("Span Corruption", *wrong),
        ("Span Corr. (cont.)", *wrong),
        ("Span Corr. (cont.) + Sentinel", *wrong),
        (
            f"LM Adaptation ({default['adaptation_steps']} steps)",
            "100.0",
            "0.0",
            "0.0",
            "0.0",
            "0.0",
            "0 of 2",
        ),
    ]
    assert "Miniature" in table.title


def test_a_configuration_without_labels_counts_nothing():
    content = MINIATURE | {"tasks": ["record", "wsc"], "convergence": None}
    config = validate(Config, content, "")
    assert grid.prompt_jobs(config) and not outputs.labelled_jobs(config)
    assert "error_modes" not in outputs.tables(config)
