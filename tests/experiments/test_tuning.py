"""Tuning jobs from files to files, in the paper's precision and with its dropout."""

from pathlib import Path

import numpy as np
import pytest

from promptscale.checkpoints.read import read_embedding
from promptscale.config.jobs import ModelTuningJob, PromptTuningJob
from promptscale.config.settings import EvaluationSettings, ModelTuning, PromptTuning
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed import mesh
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout
from promptscale.experiments.evaluator import Evaluator
from promptscale.experiments.tuning import Files, run
from promptscale.model import T5
from promptscale.reporting.runs_table import read_runs
from promptscale.training.methods import METHODS
from tests import tiny
from tests.checkpoints import synthetic_checkpoints as synthetic

TASK = "boolq"
STEPS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tuning")
    tiny.write_vocabulary(folder)
    tiny.write_task(folder / TASK, np.random.default_rng(0))
    tiny.write_checkpoint(folder / "checkpoint", tiny.architecture())
    return folder


def tune(
    folder: Path, out: Path, method: str, layout: Layout = SINGLE_DEVICE, digest="", **changes
) -> None:
    """Tunes prompts or the model with two seeds."""
    settings = {
        "steps": STEPS, "batch_size": 8, "evaluate_every": 3, "dropout_rate": 0.1,
        "activations": "bfloat16",
    } | changes  # fmt: skip
    shared = {
        "origin": "generated", "label": "Miniature", "size": "tiny",
        "architecture": tiny.architecture(),
        "checkpoint": "span_corruption", "tasks": (TASK,), "seeds": (0, 1),
        "evaluation": EvaluationSettings(),
    }  # fmt: skip
    if method == "prompt_tuning":
        settings = {"prompt_length": 5, "optimizer": {"learning_rate": 0.3}} | settings
        job = PromptTuningJob(settings=PromptTuning(**settings), **shared)
    else:
        settings |= {"restore_accumulators": False, "optimizer": {"learning_rate": 0.01}}
        job = ModelTuningJob(settings=ModelTuning(**settings), **shared)
    files = Files(
        checkpoint=str(folder / "checkpoint"),
        vocabulary=folder / "pieces.model",
        train={TASK: folder / TASK / "train"},
        validation={TASK: folder / TASK / "validation"},
        metrics=out / "metrics.csv",
        predictions=out / "predictions",
        prompts=out / "prompts" if method == "prompt_tuning" else None,
        state=str(out / "state"),
        digest=digest,
    )
    run(job, files, layout)


@pytest.mark.parametrize("method", ["prompt_tuning", "model_tuning"])
def test_bfloat16_with_dropout_trains_as_float32_does(folder, tmp_path, method):
    """The paper's setting: the losses agree with float32's to bfloat16's rounding, and fall."""
    losses = {}
    for activations in ("bfloat16", "float32"):
        tune(folder, tmp_path / activations, method, activations=activations)
        rows = read_runs(tmp_path / activations / "metrics.csv")
        curve = rows[rows["metric"] == "loss"].sort_values(["seed", "step"])
        losses[activations] = curve["value"].to_numpy()
        assert np.all(curve[curve["step"] == STEPS]["value"].to_numpy()
                      < curve[curve["step"] == 3]["value"].to_numpy())  # fmt: skip
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.05)
    assert not np.array_equal(losses["bfloat16"], losses["float32"])
    if method == "prompt_tuning":
        for seed in (0, 1):
            prompts = [np.load(tmp_path / activations / f"prompts/{TASK}/seed_{seed}.npy")
                       for activations in losses]  # fmt: skip
            assert prompts[0].dtype == np.float32
            assert np.linalg.norm(prompts[0] - prompts[1]) < 0.5 * np.linalg.norm(prompts[1])


def test_lengths_in_multiples_change_no_result(folder, tmp_path, monkeypatch):
    """As on a GPU or a TPU, with a prompt of 5 tokens; training and answers of the dev set."""
    results = []
    for multiple in (1, 8):
        monkeypatch.setitem(mesh._MULTIPLES, "cpu", multiple)
        tune(folder, tmp_path / str(multiple), "prompt_tuning", activations="float32")
        results.append(read_runs(tmp_path / str(multiple) / "metrics.csv"))
    values = [rows.sort_values(["seed", "step", "metric"])["value"] for rows in results]
    np.testing.assert_allclose(*values, rtol=1e-3)


def test_tuning_leaves_the_checkpoint_as_it_was(folder, tmp_path):
    before = synthetic.read(folder / "checkpoint")
    tune(folder, tmp_path, "model_tuning")
    after = synthetic.read(folder / "checkpoint")
    assert before.step == after.step
    for name, array in before.params.items():
        np.testing.assert_array_equal(array, after.params[name])


def test_diverged_runs_are_recorded_with_what_they_were_before(folder, tmp_path):
    """The gradient of a loss that is divided by nearly nothing is infinite."""
    tune(folder, tmp_path, "prompt_tuning", loss_normalizing_factor=1e-30)
    rows = read_runs(tmp_path / "metrics.csv")
    diverged = rows[rows["metric"] == "diverged"]
    assert set(diverged["seed"]) == {0, 1} and set(diverged["step"]) == set(rows["step"]) == {0}
    assert len(rows[(rows["metric"] == "score") & rows["selected"]]) == 2
    assert len(list((tmp_path / "predictions").rglob("*.jsonl"))) == 2


def test_the_initial_prompt_depends_on_the_seed_alone(folder, tmp_path):
    """Runs of other lengths and batches start from the same prompts (a first step of rate 0+)."""
    prompts = []
    for steps, batch_size in ((1, 8), (3, 4)):
        out = tmp_path / str(steps)
        changes = {"steps": steps, "batch_size": batch_size, "evaluate_every": steps}
        tune(folder, out, "prompt_tuning", optimizer={"learning_rate": 1e-30}, **changes)
        prompts.append([np.load(out / f"prompts/{TASK}/seed_{seed}.npy") for seed in (0, 1)])
    np.testing.assert_array_equal(prompts[0], prompts[1])
    assert not np.array_equal(prompts[0][0], prompts[0][1])


def test_a_state_of_other_inputs_is_not_resumed(folder, tmp_path, monkeypatch, caplog):
    """The inputs' digest belongs to the state: a job never goes on with another model."""
    caplog.set_level("INFO")
    kill = RuntimeError("killed")

    def killed(*_):
        raise kill

    settings = {"steps": 4, "evaluate_every": 4, "save_every": 1}
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(Evaluator, "__call__", killed)
        tune(folder, tmp_path, "prompt_tuning", digest="before", **settings)
    tune(folder, tmp_path, "prompt_tuning", digest="after", **settings)
    assert "is of other settings and is not used" in caplog.text
    assert "resuming" not in caplog.text


def test_sampled_prompts_start_from_different_pieces(folder):
    """They start from no sentinel and from no row of the embedding that belongs to no token."""
    vocabulary = Vocabulary(folder / "pieces.model")
    pieces = vocabulary.num_pieces
    assert pieces < vocabulary.size < tiny.architecture().vocab_size
    settings = PromptTuning(
        steps=1, batch_size=1, prompt_length=pieces, optimizer={"learning_rate": 0.3},
        initialization={"method": "sampled_vocab"},
    )  # fmt: skip
    job = PromptTuningJob(
        settings=settings, origin="generated", label="Miniature", size="tiny",
        architecture=tiny.architecture(), checkpoint="span_corruption", tasks=(TASK,), seeds=(0,),
        evaluation=EvaluationSettings(),
    )  # fmt: skip
    method = METHODS[job.method](job, T5(tiny.architecture()), vocabulary, None)
    (prompt,) = np.asarray(method.start(str(folder / "checkpoint"), Devices()).trainable)
    rows = read_embedding(str(folder / "checkpoint"))[:pieces]
    np.testing.assert_array_equal(prompt[prompt[:, 0].argsort()], rows[rows[:, 0].argsort()])
