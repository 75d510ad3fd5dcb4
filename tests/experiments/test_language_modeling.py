"""Pre-training, adaptation and longer adaptation, from checkpoint to checkpoint on disk."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from promptscale.checkpoints import t5x
from promptscale.config.jobs import LanguageModelingJob
from promptscale.config.settings import LanguageModeling
from promptscale.distributed import mesh
from promptscale.distributed.mesh import Devices
from promptscale.errors import DivergedError
from promptscale.experiments.language_modeling import Files, run
from tests import tiny
from tests.checkpoints import synthetic_checkpoints as synthetic

FIRST, LONG, PRETRAINING = 2, 5, 3  # steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("language_modeling")
    tiny.write_vocabulary(folder)
    tiny.write_documents(folder / "text.safetensors", np.random.default_rng(0))
    train(folder, "span_corruption", PRETRAINING, "pretrained", None)
    return folder


def train(
    folder: Path,
    objective: str,
    steps: int,
    name: str,
    checkpoint: str | None,
    first: int = 0,
    factor: float = 1.0,
) -> t5x.Checkpoint:
    """Trains for `steps` with dropout, and reads the checkpoint that was written."""
    job = LanguageModelingJob(
        size="tiny",
        architecture=tiny.architecture(),
        checkpoint=objective,
        first_step=first,
        settings=LanguageModeling(
            steps=steps, batch_size=4, inputs_length=16, dropout_rate=0.1, activations="float32",
            optimizer={"learning_rate": 0.01, "parameter_scaling": True},
            loss_normalizing_factor=factor,
        ),
    )  # fmt: skip
    run(
        job,
        Files(
            checkpoint=checkpoint and str(folder / checkpoint),
            vocabulary=folder / "pieces.model",
            text=[str(folder / "text.safetensors")],
            model=str(folder / name),
            losses=folder / f"{name}.csv",
            state=str(folder / f"{name}.state"),
        ),
    )
    return synthetic.read(folder / name)


def test_lengths_in_multiples_change_no_result(folder, monkeypatch):
    """As on a GPU or a TPU, where rows are padded further than the corpus cuts them."""
    shapes, shard_rows = set(), Devices.shard_rows

    def noted(devices, rows, size):
        shapes.update((rows.inputs.shape[1], rows.targets.shape[1]))
        return shard_rows(devices, rows, size)

    monkeypatch.setitem(mesh._MULTIPLES, "cpu", 8)
    monkeypatch.setattr(Devices, "shard_rows", noted)
    padded = train(folder, "span_corruption", PRETRAINING, "padded", None)
    assert shapes and all(length % 8 == 0 for length in shapes)
    for name, array in synthetic.read(folder / "pretrained").params.items():
        np.testing.assert_allclose(padded.params[name], array, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_continued_adaptation_equals_one_long_adaptation(folder):
    """Step, accumulators, batches and dropout go on where the shorter adaptation ended."""
    pretrained = synthetic.read(folder / "pretrained")
    long = train(folder, f"lm_{LONG}", LONG, "long", "pretrained")
    short = train(folder, f"lm_{FIRST}", FIRST, "short", "pretrained")
    continued = train(folder, f"lm_{LONG}", LONG - FIRST, "continued", "short", FIRST)

    steps = [stage.step for stage in (pretrained, short, continued, long)]
    assert steps == [PRETRAINING, PRETRAINING + FIRST, PRETRAINING + LONG, PRETRAINING + LONG]
    assert continued.params.keys() == long.params.keys()
    for name, array in continued.params.items():
        assert not np.array_equal(array, short.params[name])
        np.testing.assert_allclose(array, long.params[name], rtol=1e-4, atol=1e-5)
    assert continued.optimizer.keys() == long.params.keys()
    for name, slots in continued.optimizer.items():
        for slot, array in slots.items():
            np.testing.assert_allclose(array, long.optimizer[name][slot], rtol=1e-4, atol=1e-10)

    losses = {name: pd.read_csv(folder / f"{name}.csv") for name in ("long", "short", "continued")}
    assert list(losses["continued"]["step"]) == [3, 4, 5]
    together = pd.concat([losses["short"], losses["continued"]], ignore_index=True)
    pd.testing.assert_series_equal(together["loss"], losses["long"]["loss"], rtol=1e-4)
    assert not list(folder.glob("*.state*"))


@pytest.mark.slow
def test_the_control_of_adaptation_equals_a_longer_pre_training(folder):
    """Span corruption goes on with the batches, the step and the accumulators where it ended."""
    further = LONG - PRETRAINING
    long = train(folder, "span_corruption", LONG, "longer", None)
    name = f"span_corruption_continued_{further}"
    continued = train(folder, name, further, "control", "pretrained", first=PRETRAINING)
    assert continued.step == long.step == LONG
    for name, array in continued.params.items():
        np.testing.assert_allclose(array, long.params[name], rtol=1e-4, atol=1e-5)


def test_a_diverged_training_ends_in_a_sentence_and_writes_no_checkpoint(folder):
    with pytest.raises(DivergedError, match=r"tiny lm_4 diverged at step 1: its loss"):
        train(folder, "lm_4", 4, "diverged", "pretrained", factor=1e-30)
    assert not (folder / "diverged").exists() and not (folder / "diverged.csv").exists()
