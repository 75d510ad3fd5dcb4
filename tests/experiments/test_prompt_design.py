"""Prompt design from files to files: what is asked, what is answered, and its score."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from flax import traverse_util

from promptscale.config.jobs import PromptDesignJob
from promptscale.config.settings import EvaluationSettings, PromptDesign
from promptscale.config.tasks import task
from promptscale.data import prepared
from promptscale.data.vocabulary import EOS_ID, Vocabulary
from promptscale.errors import CheckpointError, DataError
from promptscale.evaluation import metrics
from promptscale.experiments import prompt_design
from promptscale.experiments.prompt_design import Files, cut, run, separator_ids, text_prompt
from promptscale.inference import generator
from promptscale.model import T5
from promptscale.reporting.runs_table import read_runs
from tests import tiny
from tests.checkpoints import synthetic_checkpoints as synthetic

TASK, SHOTS, SEPARATOR = "boolq", 2, "c"
TASKS = (TASK, "wic")


def design(vocab_size: int = tiny.architecture().vocab_size) -> PromptDesignJob:
    """A job of two tasks and two seeds, on a model of so many rows in its embedding."""
    architecture = dataclasses.replace(tiny.architecture(), vocab_size=vocab_size)
    return PromptDesignJob(
        origin="generated", label="Miniature", size="tiny", architecture=architecture,
        checkpoint="span_corruption", tasks=TASKS, seeds=(0, 1),
        evaluation=EvaluationSettings(decoding="greedy"),
        settings=PromptDesign(shots=SHOTS, separator=SEPARATOR),
    )  # fmt: skip


def files(folder: Path) -> Files:
    return Files(
        checkpoint=str(folder / "checkpoint"),
        vocabulary=folder / "pieces.model",
        train={name: folder / name / "train" for name in TASKS},
        validation={name: folder / name / "validation" for name in TASKS},
        metrics=folder / "metrics.csv",
        predictions=folder / "predictions",
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prompt_design")
    tiny.write_vocabulary(folder)
    for number, name in enumerate(TASKS):
        tiny.write_task(folder / name, np.random.default_rng(number), dev=10 + 3 * number)
    tiny.write_checkpoint(folder / "checkpoint", tiny.architecture())
    run(design(), files(folder))
    return folder


def test_a_vocabulary_that_the_embedding_does_not_hold_is_refused(finished):
    with pytest.raises(CheckpointError, match=r"pieces\.model"):
        run(design(vocab_size=20), files(finished))


def test_ids_that_the_embedding_does_not_hold_are_refused(finished, monkeypatch, tmp_path):
    monkeypatch.setattr(prompt_design, "check_vocabulary", lambda *_: None)
    tiny.write_checkpoint(tmp_path / "checkpoint", design(vocab_size=3).architecture)
    places = {"checkpoint": str(tmp_path / "checkpoint"), "metrics": tmp_path / "metrics.csv"}
    with pytest.raises(DataError, match="has only 3 rows"):
        run(design(vocab_size=3), dataclasses.replace(files(finished), **places))


def predictions(folder: Path, name: str, seed: int) -> list[str]:
    path = folder / "predictions" / name / f"seed_{seed}" / f"{name}.jsonl"
    return [json.loads(line)["prediction"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", TASKS)
def test_each_question_is_asked_after_the_seeds_worked_examples(finished, name, seed):
    """The prediction is the model's text for examples and question, cut at the separator."""
    vocabulary = Vocabulary(finished / "pieces.model")
    train = prepared.read(finished / name / "train")
    dev = prepared.read(finished / name / "validation")
    examples = text_prompt(train, seed, SHOTS, vocabulary, SEPARATOR)
    longest = 1 + max(len(target) for target in dev.targets)  # with EOS
    limit = longest + len(vocabulary.encode(SEPARATOR))
    generate = generator(T5(tiny.architecture()), "greedy", limit)
    flat = synthetic.read(finished / "checkpoint").params
    params = traverse_util.unflatten_dict(flat, sep="/")
    width = len(examples) + int(dev.inputs.lengths.max()) + 1
    for prediction, dev_inputs in zip(predictions(finished, name, seed), dev.inputs, strict=True):
        ids = np.zeros((1, width), np.int32)
        question = [*examples, *dev_inputs, EOS_ID]
        ids[0, : len(question)] = question
        (answer,) = np.asarray(generate(params, None, np.zeros(1, int), ids, np.array([limit])))
        assert prediction == cut(vocabulary.decode(answer), SEPARATOR)


@pytest.mark.parametrize(
    ("answer", "follows", "expected"),
    [
        ("True. The rest", "", "True"),
        ("True.", "", "True"),
        ("the U.S. Army. question: who", "question:", "the U.S. Army"),
        ("the U.S. Army.", "question:", "the U.S. Army"),
        ("the U.S. Army", "question:", "the U.S. Army"),
    ],
)
def test_an_answer_ends_where_the_worked_examples_end_theirs(answer, follows, expected):
    assert cut(answer, ".", follows) == expected


@pytest.mark.parametrize("separator", ["\n", "}", "c}"])
def test_a_separator_that_the_vocabulary_cannot_write_is_refused(finished, separator):
    with pytest.raises(DataError, match=r"cannot write prompt_design\.separator"):
        separator_ids(Vocabulary(finished / "pieces.model"), separator)


def test_more_worked_examples_than_there_are_is_refused(finished):
    train = prepared.read(finished / TASK / "train")
    with pytest.raises(DataError, match="41 worked examples, but there are 40"):
        text_prompt(train, 0, 41, Vocabulary(finished / "pieces.model"), SEPARATOR)


def test_the_metrics_are_those_of_the_predictions(finished):
    runs = read_runs(finished / "metrics.csv")
    assert set(runs["method"]) == {"prompt_design"} and set(runs["seed"]) == {0, 1}
    for (name, seed), group in runs.groupby(["task", "seed"]):
        rows = prepared.read(finished / name / "validation").rows()
        expected = metrics.score(task(name), predictions(finished, name, seed), rows)
        assert dict(zip(group["metric"], group["value"], strict=True)) == pytest.approx(expected)
