"""This project's numbers against the authors' code (formats: recorded/README.md)."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from promptscale.config.settings import Optimizer
from promptscale.config.sizes import ModelConfig
from promptscale.data.microbatches import Rows
from promptscale.distributed.mesh import Devices
from promptscale.inference import encode_inputs
from promptscale.model import T5, beam_search, greedy_search, parameter_shapes
from promptscale.training.loss import cross_entropy
from promptscale.training.methods import PromptTuning, Start, loss_function
from promptscale.training.optimizer import hyperparameters, init, update
from promptscale.training.step import Step, initial_state

from .conftest import assert_close, cases

KEY = jax.random.key(0)


class Case:
    """One recorded case: its model, parameters, batch and arrays."""

    def __init__(self, path: Path) -> None:
        about = json.loads(path.with_suffix(".json").read_text())
        self.arrays = dict(np.load(path))
        self.config = ModelConfig(
            d_model=about["d_model"],
            d_ff=about["mlp_dim"],
            num_encoder_layers=about["num_encoder_layers"],
            num_decoder_layers=about["num_decoder_layers"],
            num_heads=about["num_heads"],
            head_dim=about["head_dim"],
            vocab_size=about["vocab"],
            relative_attention_num_buckets=about["relative_attention_num_buckets"],
            relative_attention_max_distance=about["relative_attention_max_distance"],
        )
        self.decode_length = about["decode_len"]
        self.logit_ids = np.arange(self.config.vocab_size)
        if "vocabulary/ids" in self.arrays:
            self._restore_vocabulary(about["head_offset"])
        self.flat = {
            name.removeprefix("param/"): jnp.asarray(array)
            for name, array in self.arrays.items()
            if name.startswith("param/")
        }
        self.params = traverse_util.unflatten_dict(self.flat, sep="/")
        inputs = jnp.asarray(self.arrays["in/encoder_input_tokens"])
        targets = jnp.asarray(self.arrays["in/decoder_target_tokens"])
        self.batch = Rows(inputs, targets, jnp.zeros(len(inputs), int), jnp.arange(len(inputs)))
        self.prompts = {"plain": None, "prompted": jnp.asarray(self.arrays["prompt/init"])}

    def _restore_vocabulary(self, offset: int) -> None:
        """Makes the embedding and the head from the arrays of a case with a cut vocabulary."""
        cut = {name: self.arrays[f"vocabulary/{name}"] for name in
               ("ids", "embedding", "head", "head_steps", "head_step")}  # fmt: skip
        self.logit_ids = cut["ids"]
        embedding = np.zeros((self.config.vocab_size, self.config.d_model), np.float32)
        embedding[self.logit_ids] = cut["embedding"]
        high, low = cut["head_steps"].astype(np.float32)
        head = (256 * high + low - offset) * cut["head_step"]
        head[:, self.logit_ids] = cut["head"]
        self.arrays["param/token_embedder/embedding"] = embedding
        self.arrays["param/decoder/logits_dense/kernel"] = head


@pytest.fixture(scope="module", params=cases("t5x/*.npz"))
def case(request) -> Case:
    return Case(request.param)


MODES = pytest.mark.parametrize("mode", ["plain", "prompted"])


def test_every_parameter_is_recorded(case):
    assert {name: leaf.shape for name, leaf in case.flat.items()} == parameter_shapes(case.config)


@MODES
def test_logits_and_losses(case, mode):
    model = T5(case.config)

    @jax.jit
    def run(params, prompt):
        encoded, mask = encode_inputs(model, params, prompt, case.batch.inputs)
        variables = {"params": params}
        logits = model.apply(variables, encoded, mask, case.batch.targets, method="decode")
        return encoded, mask, logits

    encoded, mask, logits = run(case.params, case.prompts[mode])
    real = np.asarray(case.batch.targets) > 0
    assert_close(logits[real][:, case.logit_ids], case.arrays[f"{mode}/logits"][real])
    with_z, tokens = cross_entropy(logits, case.batch.targets, 1e-4)
    without_z, _ = cross_entropy(logits, case.batch.targets, 0.0)
    assert_close(jnp.sum(with_z), case.arrays[f"{mode}/loss_sum_with_z"])
    assert_close(jnp.sum(without_z), case.arrays[f"{mode}/ce_sum_without_z"])
    assert jnp.sum(tokens) == case.arrays[f"{mode}/weight_sum"]
    shown = np.asarray(mask)
    assert_close(encoded[shown], case.arrays[f"{mode}/encoded"][shown])


def dropout_keys(case: Case) -> jax.Array:
    """A key for each example; dropout is off in the recorded cases."""
    return jax.random.split(KEY, len(case.batch.inputs))


def test_bfloat16_stays_near(case):
    model = T5(case.config, dtype=jnp.dtype(jnp.bfloat16))
    loss, _ = jax.jit(loss_function(model, 1e-4, PromptTuning.for_inference))(
        case.prompts["prompted"][None], case.params, case.batch, dropout_keys(case)
    )
    assert_close(jnp.sum(loss), case.arrays["prompted_bf16/loss_sum_with_z"], 2e-2)


def test_prompt_gradient(case):
    loss = loss_function(T5(case.config), 1e-4, PromptTuning.for_inference)

    @jax.jit
    @jax.grad
    def gradient(prompts):
        return jnp.sum(loss(prompts, case.params, case.batch, dropout_keys(case))[0])

    assert_close(gradient(case.prompts["prompted"][None])[0], case.arrays["prompted/grad_prompt"])


def recorded_training(case: Case, offset: int) -> dict[str, np.ndarray]:
    """The arrays of one recorded training, without its prefix."""
    prefix = f"train_step{offset}/"
    names = [name for name in case.arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): case.arrays[name] for name in names}


OFFSETS = pytest.mark.parametrize("offset", [0, 1_100_000])
SETTINGS = Optimizer(learning_rate=0.3, weight_decay=1e-5)


@OFFSETS
def test_adafactor_on_the_recorded_gradients(case, offset):
    recorded = recorded_training(case, offset)
    prompt = case.prompts["prompted"]
    settings = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), hyperparameters([SETTINGS], offset))
    state = init(prompt, settings).arrays
    for index, gradient in enumerate(recorded["grads"]):
        prompt, state = update(prompt, state, jnp.asarray(gradient), settings)
        expected = recorded["prompts"][index + 1]
        np.testing.assert_allclose(prompt, expected, rtol=1e-5, atol=1e-6)


@OFFSETS
def test_five_adafactor_steps(case, offset):
    recorded = recorded_training(case, offset)
    step = Step(loss_function(T5(case.config), 1e-4, PromptTuning.for_inference), shared=True)
    prompts = case.prompts["prompted"][None]
    train_state = initial_state(Start(prompts, {}, offset), [SETTINGS], Devices())
    for index in range(5):
        assert_close(train_state.trainable[0], recorded["prompts"][index])
        before = float(train_state.loss[0])
        train_state = step(train_state, case.params, [case.batch], KEY[None], index)
        assert_close(float(train_state.loss[0]) - before, recorded["losses_before_step"][index])
        for kind in ("v", "v_row", "v_col"):
            (moments,) = jax.tree.leaves(optax.tree.get(train_state.optimizer, kind))
            assert_close(moments[0], recorded[kind][index])
    assert_close(train_state.trainable[0], recorded["prompts"][5])


@MODES
@pytest.mark.parametrize(
    ("search", "recorded"),
    [(greedy_search, "greedy_temperature_sample"), (beam_search, "t5x_default_predict")],
)
def test_decodes(case, mode, search, recorded):
    model = T5(case.config)

    @jax.jit
    def run(params, prompt):
        encoded, mask = encode_inputs(model, params, prompt, case.batch.inputs)
        return search(model, params, encoded, mask, case.decode_length)

    generated = run(case.params, case.prompts[mode])
    np.testing.assert_array_equal(generated, case.arrays[f"{mode}/{recorded}"])
