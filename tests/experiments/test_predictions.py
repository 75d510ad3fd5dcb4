"""Predictions of finished jobs: their outcomes are counted, and some examples are chosen."""

import pytest

from promptscale.config import grid
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.config.tasks import task
from promptscale.data.prepared import write_rows
from promptscale.experiments.predictions import EXAMPLES, collect, outcome
from promptscale.reporting import predictions
from tests.config.test_config import MINIATURE


@pytest.mark.parametrize(
    ("name", "prediction", "correct", "expected"),
    [
        ("boolq", "True", True, "right"),
        ("boolq", "False", False, "wrong"),
        ("boolq", "Paris", False, "illegal"),
        ("boolq", "", False, "illegal"),
        ("squad", "Paris", False, "wrong"),  # a task without labels has no illegal output
    ],
)
def test_the_outcome_of_a_prediction(name, prediction, correct, expected):
    assert outcome(task(name), prediction, correct) == expected


def test_all_predictions_are_counted_and_all_runs_answer_the_same_examples(tmp_path):
    content = MINIATURE | {"sizes": ["mini-small"], "tasks": ["boolq"], "seeds": [0, 1]}
    content |= dict.fromkeys(("domain_shift", "ensembles", "convergence", "hyperparameter_search"))
    jobs = grid.prompt_jobs(validate(Config, content, ""))[:1]
    said = {0: "True", 1: 'no label, "quoted"\nin two\rlines'}
    count = 10 * EXAMPLES + 3
    for run in jobs[0].runs:
        rows = [
            {"id": str(place), "inputs": f"input\r{place}", "targets": "True",
             "prediction": said[run.seed], "correct": run.seed == 0}
            for place in range(count)
        ]  # fmt: skip
        write_rows(tmp_path / run.task / f"seed_{run.seed}" / f"{run.task}.jsonl", rows)
    paths = {name: tmp_path / f"{name}.csv" for name in predictions.SCHEMAS}
    collect([(job, tmp_path) for job in jobs], paths)
    tables = {name: predictions.read(name, path) for name, path in paths.items()}
    names = [jobs[0].run_name(run) for run in jobs[0].runs]
    outcomes = tables["outcomes"].set_index("run")[list(predictions.OUTCOMES)]
    by_seed = {run.seed: tuple(outcomes.loc[jobs[0].run_name(run)]) for run in jobs[0].runs}
    assert by_seed == {0: (count, 0, 0), 1: (0, 0, count)}
    places = tables["examples"]["id"].astype(int)
    assert len(places) == EXAMPLES and places.min() == 0 and places.max() == count - 1
    given = tables["predictions"]
    assert set(given["run"]) == set(names)
    assert set(given["prediction"]) == set(said.values())
    for _, rows in given.groupby("run"):
        assert rows["id"].tolist() == tables["examples"]["id"].tolist()
