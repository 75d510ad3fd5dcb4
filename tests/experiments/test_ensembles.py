"""Prompts vote as section 6 describes: on what the metric sees, ties to the earliest prompt."""

import json

import numpy as np
import pytest

from promptscale.config import grid
from promptscale.config.jobs import PromptTuningJob
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.config.tasks import task
from promptscale.data import prepared
from promptscale.errors import ResultsError
from promptscale.evaluation import metrics
from promptscale.experiments.ensembles import run, vote
from promptscale.reporting.runs_table import read_runs
from tests.config.test_config import MINIATURE


@pytest.mark.parametrize(
    ("name", "answers", "winner"),
    [
        ("boolq", ["True", "False", "False"], "False"),
        ("boolq", ["True", "False", "junk"], "True"),  # a vote each: the first prompt wins
        ("boolq", ["junk", "rubbish", "True"], "junk"),  # each illegal output is a vote
        ("squad", ["The Cat", "dog", "cat!"], "The Cat"),  # normalised, they agree
        ("wsc", ["the boy", "girl", "girl"], "girl"),
    ],
)
def test_the_majority_wins(name, answers, winner):
    assert vote(task(name), [[text] for text in answers]) == [winner]


def test_an_ensemble_is_scored_like_any_other_prediction(tmp_path):
    """Two prompts right on different rows and a third that decides; the metric is the task's."""
    config = validate(Config, MINIATURE, "")
    (size,) = config.ensembles.sizes
    template = grid.ensemble_jobs(config)[size][0]
    rows = [{"id": str(i), "inputs": "x", "targets": label, "label": i % 2}
            for i, label in enumerate(["False", "True"] * 3)]  # fmt: skip
    tokens = prepared.Ragged.pack([[5]] * len(rows))
    prepared.write(tmp_path / "boolq" / "validation", tokens, tokens, rows)
    said = {0: ["False"] * 6, 1: ["True"] * 6, 2: ["False", "True", "False", "False", "x", "True"]}
    parts = []
    for seeds in ((0, 1), (2,)):
        job = PromptTuningJob(**dict(template) | {"tasks": ("boolq",), "seeds": seeds})
        folder = tmp_path / f"predictions_{seeds[0]}"
        for seed in seeds:
            lines = [{"id": row["id"], "prediction": text}
                     for row, text in zip(rows, said[seed], strict=True)]  # fmt: skip
            prepared.write_rows(folder / "boolq" / f"seed_{seed}" / "boolq.jsonl", lines)
        parts.append((job, folder))
    prefixes = {"boolq": tmp_path / "boolq" / "validation"}
    run(parts, prefixes, tmp_path / "metrics.csv")
    rows_read = read_runs(tmp_path / "metrics.csv")
    assert set(rows_read["method"]) == {"prompt_ensemble"}
    assert set(rows_read["prompt_length"]) == {20}
    voted = ["False", "True", "False", "False", "False", "True"]
    expected = metrics.score(task("boolq"), voted, rows)
    assert dict(zip(rows_read["metric"], rows_read["value"], strict=True)) == pytest.approx(
        expected
    )
    assert np.isclose(expected["accuracy"], 500 / 6)

    file = parts[0][1] / "boolq" / "seed_0" / "boolq.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    prepared.write_rows(file, lines[::-1])
    with pytest.raises(ResultsError, match="are not of the prepared validation examples"):
        run(parts, prefixes, tmp_path / "metrics.csv")
