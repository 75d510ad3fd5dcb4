"""PEFT computes with a converted prompt and a converted checkpoint what this project computes.

PEFT runs in the environment of the benchmarks (`make bench` installs it), which is not this one.
"""

import subprocess
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from typer.testing import CliRunner

from promptscale import prompts
from promptscale.checkpoints.read import open_t5
from promptscale.checkpoints.sharded import load_model
from promptscale.cli import app
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices
from promptscale.inference import encode_inputs
from promptscale.model import T5, greedy_search
from tests import tiny
from tests.conftest import REPOSITORY

from .conftest import assert_close

_PYTHON = REPOSITORY / ".venv-bench" / "bin" / "python"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _PYTHON.exists(), reason="PEFT's environment is not installed"),
]
LENGTH = 8


def promptscale(*arguments: str | Path) -> None:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output


def ours(location: Path, prompt: Path, case: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """The logits of the case's targets, and the greedy answers."""
    _, architecture = open_t5(str(location))
    model = T5(architecture)
    flat = load_model(str(location), architecture, Devices(SINGLE_DEVICE)).params
    params = traverse_util.unflatten_dict(flat, sep="/")
    inputs, targets = (jnp.asarray(case[name], jnp.int32) for name in ("inputs", "targets"))
    encoded, mask = encode_inputs(model, params, jnp.asarray(prompts.load(prompt)), inputs)
    logits = model.apply({"params": params}, encoded, mask, targets, method="decode")
    return np.asarray(logits), np.asarray(greedy_search(model, params, encoded, mask, LENGTH))


def compare(checkpoint: Path, prompt: Path, case: dict[str, np.ndarray], folder: Path) -> float:
    """Converts both to Hugging Face, runs PEFT, converts back; returns the largest difference.

    `checkpoint` is of T5X.
    """
    hugging_face, adapter = folder / "hf", folder / "adapter"
    promptscale("convert", checkpoint, hugging_face, "--to", "huggingface")
    options = ("--to", "peft", "--checkpoint", hugging_face)
    promptscale("convert", prompt, adapter, *options)
    np.savez(folder / "case.npz", **case, length=LENGTH)
    script = Path(__file__).with_name("peft_outputs.py")
    command = [_PYTHON, script, hugging_face, adapter, folder / "case.npz", folder]
    subprocess.run(list(map(str, command)), check=True, timeout=600)
    theirs = np.load(folder / "outputs.npz")
    logits, generated = ours(checkpoint, prompt, case)
    real = case["targets"] > 0
    assert_close(logits[real], theirs["logits"][real])
    np.testing.assert_array_equal(generated, theirs["generated"])
    promptscale("convert", folder / "adapter", folder / "back.npy", "--to", "npy")
    np.testing.assert_array_equal(prompts.load(folder / "back.npy"), prompts.load(prompt))
    promptscale("convert", hugging_face, folder / "t5x", "--to", "t5x")
    back, _ = ours(folder / "t5x", folder / "back.npy", case)
    np.testing.assert_array_equal(back, logits)
    return float(np.abs(logits - theirs["logits"])[real].max())


def test_logits_and_answers_are_the_same(tmp_path):
    tiny.write_checkpoint(tmp_path / "t5", tiny.architecture())
    draw = np.random.default_rng(0)
    prompts.save(tmp_path / "p.npy", draw.normal(size=(5, 16)).astype(np.float32))
    inputs, targets = draw.integers(2, 128, (4, 12)), draw.integers(2, 128, (4, 6))
    inputs[1, 7:] = targets[2, 4:] = 0
    compare(tmp_path / "t5", tmp_path / "p.npy", {"inputs": inputs, "targets": targets}, tmp_path)
