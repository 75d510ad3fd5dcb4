"""This project's numbers against Hugging Face T5 1.1 (formats: recorded/README.md)."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from safetensors.numpy import load_file, save_file

from promptscale.checkpoints import huggingface
from promptscale.config.sizes import ModelConfig
from promptscale.model import T5, greedy_search, parameter_shapes
from promptscale.prompts import prepend
from promptscale.training.loss import cross_entropy

from .conftest import assert_close, cases


def read(folder: Path) -> dict[str, np.ndarray]:
    """A checkpoint's arrays under T5X's names."""
    return {name: array.whole() for name, array in huggingface.open_arrays(folder).items()}


class Case:
    """One recorded case: its model, parameters and arrays."""

    def __init__(self, path: Path) -> None:
        about = json.loads((path / "config.json").read_text())
        self.folder = path
        recorded = np.load(path / "oracle_hf.npz")
        self.arrays = {name: jnp.asarray(recorded[name]) for name in recorded.files}
        self.config = ModelConfig(
            d_model=about["d_model"],
            d_ff=about["d_ff"],
            num_encoder_layers=about["num_layers"],
            num_decoder_layers=about["num_decoder_layers"],
            num_heads=about["num_heads"],
            head_dim=about["d_kv"],
            vocab_size=about["vocab_size"],
            relative_attention_num_buckets=about["relative_attention_num_buckets"],
            relative_attention_max_distance=about["relative_attention_max_distance"],
        )
        flat = read(path)
        assert {name: leaf.shape for name, leaf in flat.items()} == parameter_shapes(self.config)
        self.params = traverse_util.unflatten_dict(jax.tree.map(jnp.asarray, flat), sep="/")
        self.model = T5(self.config)

    def encode(self, params, prompt):
        """The encoder's output under the recorded attention mask."""
        embedded = self.model.apply({"params": params}, self.arrays["input_ids"], method="embed")
        mask = self.arrays["attention_mask"] > 0
        if prompt is not None:
            tiled = jnp.broadcast_to(prompt[None], (len(mask), *prompt.shape))
            embedded, mask = prepend(tiled, embedded, jnp.asarray(mask))
        return self.model.apply({"params": params}, embedded, mask, method="encode"), mask

    def mean_loss(self, params, prompt):
        """Mean cross-entropy over target tokens, and the logits."""
        targets = self.arrays["labels_pad0"]
        encoded, mask = self.encode(params, prompt)
        logits = self.model.apply({"params": params}, encoded, mask, targets, method="decode")
        loss, tokens = map(jnp.sum, cross_entropy(logits, targets, 0.0))
        return loss / tokens, logits


@pytest.fixture(scope="module", params=cases("huggingface/*"))
def case(request) -> Case:
    return Case(request.param)


@pytest.mark.parametrize("mode", ["plain", "prompted"])
def test_logits_loss_and_greedy_decode(case, mode):
    prompt = case.arrays["prompt"] if mode == "prompted" else None
    loss, logits = jax.jit(case.mean_loss)(case.params, prompt)
    real = np.asarray(case.arrays["labels_pad0"]) > 0
    assert_close(logits[real], case.arrays[f"{mode}_logits"][real])
    assert_close(loss, case.arrays[f"{mode}_loss_mean_ce"])
    encoded, mask = jax.jit(case.encode)(case.params, prompt)
    shown = np.asarray(mask)
    assert_close(encoded[shown], case.arrays[f"{mode}_encoder_last_hidden"][shown])
    recorded = case.arrays[f"{mode}_greedy"][:, 1:]
    generated = greedy_search(case.model, case.params, encoded, mask, recorded.shape[1])
    np.testing.assert_array_equal(generated, recorded)


def test_prompt_gradient(case):
    prompt = case.arrays["prompt"]
    gradient, _ = jax.jit(jax.grad(case.mean_loss, argnums=1, has_aux=True))(case.params, prompt)
    assert_close(gradient, case.arrays["prompted_grad_prompt"])


def test_gradient_of_every_parameter(case, tmp_path):
    gradient, _ = jax.jit(jax.grad(case.mean_loss, has_aux=True))(case.params, None)
    # The importer renames and transposes the recorded gradients as it does weights.
    recorded = load_file(case.folder / "plain_param_grads.safetensors")
    save_file(recorded, tmp_path / "model.safetensors")
    expected = read(tmp_path)
    flat = traverse_util.flatten_dict(gradient, sep="/")
    assert set(flat) == set(expected)
    for name, value in flat.items():
        assert_close(value, expected[name])
