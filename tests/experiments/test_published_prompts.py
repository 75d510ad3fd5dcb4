"""The authors' published prompts on a stand-in for T5 Base: as wide, shallow, and untrained."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flax import traverse_util

from promptscale.checkpoints import t5x
from promptscale.config.jobs import PromptTuningJob
from promptscale.config.settings import EvaluationSettings, Optimizer, PromptTuning
from promptscale.config.tasks import task
from promptscale.data import prepared
from promptscale.data.vocabulary import EOS_ID, Vocabulary
from promptscale.errors import CheckpointError
from promptscale.evaluation import metrics
from promptscale.experiments.published_prompts import Files, run
from promptscale.inference import generator
from promptscale.model import T5
from promptscale.reporting.tables import published_prompts
from tests import tiny
from tests.checkpoints import synthetic_checkpoints as synthetic
from tests.reporting.conftest import made

TASKS = ("sst2", "mrpc", "rte")
MODEL = tiny.architecture(d_model=768)
DEV = 12


def job(**changes) -> PromptTuningJob:
    settings = {
        "prompt_length": 100, "steps": 1, "batch_size": 1, "activations": "float32",
        "optimizer": Optimizer(learning_rate=0.3),
    } | changes  # fmt: skip
    return PromptTuningJob(
        origin="real", label="Stand-in", size="tiny", architecture=MODEL, checkpoint="lm_100000",
        tasks=TASKS, seeds=(0,), evaluation=EvaluationSettings(decoding="greedy"),
        settings=PromptTuning(**settings),
    )  # fmt: skip


def _louder(name: str, array: np.ndarray) -> np.ndarray:
    """What the decoder reads from the encoder outweighs all else, so the prompt decides."""
    return 100 * array if "encoder_decoder_attention/out" in name else array


@pytest.fixture(scope="module")
def folder(shared, tmp_path_factory) -> Path:
    """A vocabulary, small tasks under the real names, a checkpoint, and the real prompts."""
    folder = tmp_path_factory.mktemp("published")
    tiny.write_vocabulary(folder)
    for seed, name in enumerate(TASKS):
        tiny.write_task(folder / name, np.random.default_rng(seed), dev=DEV)
    tiny.write_checkpoint(folder / "untrained", MODEL)
    listening = synthetic.read(folder / "untrained").map(_louder)
    t5x.write(folder / "checkpoint", listening)
    real = shared / "data/prompt-tuning/pretrained_prompts/t5_1_1_lm100k_base"
    (folder / "prompts").symlink_to(real)
    return folder


def files(folder: Path, out: Path, prompts: dict[str, Path] | None = None) -> Files:
    return Files(
        checkpoint=str(folder / "checkpoint"),
        vocabulary=folder / "pieces.model",
        prompts=prompts or {name: folder / f"prompts/{name}.npy" for name in TASKS},
        validation={name: folder / name / "validation" for name in TASKS},
        table=out / "published_prompts.csv",
        predictions=out / "predictions",
    )


@pytest.fixture(scope="module")
def finished(folder) -> Path:
    run(job(), files(folder, folder))
    return folder


def predictions(folder: Path, name: str) -> list[str]:
    lines = (folder / "predictions" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line)["prediction"] for line in lines]


@pytest.mark.parametrize("name", TASKS)
def test_every_example_is_answered_after_its_tasks_prompt(finished, name):
    """Each prediction is the model's text for the published prompt and the input, one by one.

    With another task's prompt the model writes other ids.
    """
    vocabulary = Vocabulary(finished / "pieces.model")
    prompt = np.load(finished / f"prompts/{name}.npy")
    assert prompt.shape == (100, 768)
    dev = prepared.read(finished / name / "validation")
    generate = generator(T5(MODEL), "greedy", 2)
    flat = synthetic.read(finished / "checkpoint").params
    params = traverse_util.unflatten_dict(flat, sep="/")
    width = int(dev.inputs.lengths.max()) + 1
    other = np.load(finished / f"prompts/{TASKS[TASKS.index(name) - 1]}.npy")
    same = []
    for prediction, inputs in zip(predictions(finished, name), dev.inputs, strict=True):
        ids = np.zeros((1, width), np.int32)
        ids[0, : len(inputs) + 1] = [*inputs, EOS_ID]
        ours, others = (
            np.asarray(generate(params, matrix[None], np.zeros(1, int), ids, np.array([2])))[0]
            for matrix in (prompt, other)
        )
        assert prediction == vocabulary.decode(ours)
        same.append(np.array_equal(ours, others))
    assert not all(same)


def test_the_scores_are_those_of_the_predictions(finished):
    table = pd.read_csv(finished / "published_prompts.csv")
    assert list(dict.fromkeys(table["task"])) == list(TASKS)
    for name, rows in table.groupby("task"):
        dev = prepared.read(finished / name / "validation").rows()
        scores = metrics.score(task(name), predictions(finished, name), dev)
        assert rows.set_index("metric")["value"].to_dict() == pytest.approx(
            {metric: scores[metric] for metric in task(name).metrics}
        )
    assert set(table["examples"]) == {DEV} and set(table["label"]) == {"Stand-in"}


def test_the_table_has_the_published_scores(tmp_path):
    """Had Base given the published scores, all differences would be 0."""
    values = {("sst2", "accuracy"): 95.07, ("mrpc", "accuracy"): 85.3, ("mrpc", "f1"): 89.7,
              ("rte", "accuracy"): 68.6, ("rte", "loss"): 1.0}  # fmt: skip
    rows = [
        {"task": name, "metric": metric, "value": value, "examples": 408, "size": "base",
         "checkpoint": "lm_100000", "origin": "real", "label": "T5 1.1"}
        for (name, metric), value in values.items()
    ]  # fmt: skip
    path = tmp_path / "published_prompts.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    table = published_prompts.build(made(tables={"published_prompts": path}))
    shown = [record["Published"] for record in table.records]
    assert shown == ["95.07", "85.3", "89.7", "68.6", None]
    assert [record["Difference"] for record in table.records] == [
        "+0.00", "+0.0", "+0.0", "+0.0", None,
    ]  # fmt: skip
    assert "not the paper's" not in table.title and "base after lm_100000" in table.title


def test_a_prompt_of_another_shape_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match="is 100 x 768, but this run needs 20 x 768"):
        run(job(prompt_length=20), files(folder, tmp_path))
    assert not list(tmp_path.iterdir())
    lost = {name: tmp_path / f"{name}.npy" for name in TASKS}
    with pytest.raises(CheckpointError, match=r"sst2\.npy is missing"):
        run(job(), files(folder, tmp_path, lost))
