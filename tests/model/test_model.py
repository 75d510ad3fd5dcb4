"""Properties of the model and its decoding; tests/parity compares its numbers."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from promptscale.config.sizes import PAPER_SIZES, ModelConfig
from promptscale.inference import encode_inputs, generator
from promptscale.model import T5, beam_search, greedy_search, parameter_shapes
from promptscale.model.dropout import Dropout

CONFIG = ModelConfig(
    d_model=16, d_ff=32, num_encoder_layers=2, num_decoder_layers=2, num_heads=2, head_dim=8,
    vocab_size=64, relative_attention_num_buckets=8, relative_attention_max_distance=16,
)  # fmt: skip
MODEL = T5(CONFIG)
INPUTS = jnp.asarray([[5, 9, 12, 7, 33, 1], [8, 40, 1, 0, 0, 0]])
TARGETS = jnp.asarray([[11, 3, 25, 1], [17, 1, 0, 0]])


@pytest.fixture(scope="module")
def params():
    return jax.jit(MODEL.init)(jax.random.key(0), INPUTS, TARGETS)["params"]


@jax.jit  # without it, each operation is compiled apart
def logits(params, prompt, inputs, targets):
    encoded, mask = encode_inputs(MODEL, params, prompt, inputs)
    return MODEL.apply({"params": params}, encoded, mask, targets, method="decode")


@pytest.mark.parametrize("size", PAPER_SIZES)
def test_the_counted_parameters_of_the_papers_sizes_are_the_models(size):
    shapes = parameter_shapes(PAPER_SIZES[size])
    assert sum(map(math.prod, shapes.values())) == PAPER_SIZES[size].num_parameters


def test_decoder_is_causal(params):
    """The logits of a position do not depend on the embedding of any later target."""
    encoded, mask = encode_inputs(MODEL, params, None, INPUTS)
    embedded = MODEL.apply({"params": params}, TARGETS, method="embed")

    def run(embedded, position):
        decoded = MODEL.apply(
            {"params": params},
            lambda module: module.decoder(embedded, encoded, mask, None),
            method=lambda module, call: call(module),
        )
        return decoded[:, position].sum()

    for position in range(TARGETS.shape[1]):
        gradient = jax.grad(run)(embedded, position)
        assert np.all(np.asarray(gradient[:, position + 1 :]) == 0)
        assert np.all(np.abs(gradient[:, : position + 1]).max(axis=-1) > 0)


def test_a_prompt_of_token_embeddings_equals_those_tokens(params):
    """Positions, mask and cross-attention treat a prompt exactly as text (section 2)."""
    embedding = params["token_embedder"]["embedding"]
    as_prompt = logits(params, embedding[INPUTS[0, :3]], INPUTS[:1, 3:], TARGETS[:1])
    as_text = logits(params, None, INPUTS[:1], TARGETS[:1])
    np.testing.assert_allclose(as_prompt, as_text, rtol=1e-5, atol=1e-5)


def test_padding_changes_nothing(params):
    prompt = jax.random.normal(jax.random.key(1), (3, CONFIG.d_model))
    wide = jnp.pad(INPUTS, ((0, 0), (0, 5)))
    long = jnp.pad(TARGETS, ((0, 0), (0, 3)))
    padded = logits(params, prompt, wide, long)[:, : TARGETS.shape[1]]
    plain = logits(params, prompt, INPUTS, TARGETS)
    real = np.asarray(TARGETS > 0)
    np.testing.assert_allclose(padded[real], plain[real], rtol=1e-5, atol=1e-5)
    alone = logits(params, prompt, INPUTS[1:, :3], TARGETS[1:, :2])
    np.testing.assert_allclose(plain[1, :2], alone[0], rtol=1e-5, atol=1e-5)


def test_cached_steps_equal_the_whole_decode(params):
    encoded, mask = encode_inputs(MODEL, params, None, INPUTS)
    variables = {"params": params}
    cache = MODEL.apply(variables, encoded, mask, 4, method="start_decoding")
    fed = jnp.pad(TARGETS[:, :-1], ((0, 0), (1, 0)))
    whole = MODEL.apply(variables, encoded, mask, TARGETS, method="decode")
    for index in range(4):
        step, cache = MODEL.apply(
            variables, fed[:, index], cache, jnp.int32(index), method="decode_step"
        )
        np.testing.assert_allclose(step, whole[:, index], rtol=1e-4, atol=1e-5)


def test_greedy_search_takes_the_likeliest_token_each_time(params):
    encoded, mask = encode_inputs(MODEL, params, None, INPUTS)
    generated = np.asarray(greedy_search(MODEL, params, encoded, mask, 6))
    whole = MODEL.apply({"params": params}, encoded, mask, jnp.asarray(generated), method="decode")
    likeliest = np.asarray(jnp.argmax(whole, axis=-1))
    for row, best in zip(generated, likeliest, strict=True):
        end = int(np.flatnonzero(row == 1)[0]) if 1 in row else len(row) - 1
        np.testing.assert_array_equal(row[: end + 1], best[: end + 1])
        assert np.all(row[end + 1 :] == 0)


def test_beam_search_does_not_depend_on_its_neighbours(params):
    """An example decodes alike in a batch and alone: the loop ends for all examples together."""
    encoded, mask = encode_inputs(MODEL, params, None, INPUTS)
    together = beam_search(MODEL, params, encoded, mask, 8)
    for row in range(2):
        example = slice(row, row + 1)
        alone = beam_search(MODEL, params, encoded[example], mask[example], 8)
        np.testing.assert_array_equal(together[example], alone)


@pytest.mark.parametrize("search", [greedy_search, beam_search])
@pytest.mark.parametrize("limit", [1, 3, 8])
def test_a_limit_is_a_shorter_decode(params, search, limit):
    """A limit that is known at run time gives what a decode of that length gives."""
    encoded, mask = encode_inputs(MODEL, params, None, INPUTS)
    limited = search(MODEL, params, encoded, mask, 8, jnp.int32(limit))
    np.testing.assert_array_equal(limited[:, :limit], search(MODEL, params, encoded, mask, limit))
    assert np.all(np.asarray(limited[:, limit:]) == 0)


@pytest.mark.parametrize("search", [greedy_search, beam_search])
def test_each_row_may_have_a_limit(params, search):
    inputs = jnp.concatenate([INPUTS] * 2)
    encoded, mask = encode_inputs(MODEL, params, None, inputs)
    together = search(MODEL, params, encoded, mask, 8, jnp.asarray([0, 8, 3, 2]))
    for row, limit in enumerate((0, 8, 3, 2)):
        alone = search(MODEL, params, encoded[row : row + 1], mask[row : row + 1], 8, limit)
        np.testing.assert_array_equal(together[row], alone[0])


@pytest.mark.parametrize("decoding", ["greedy", "beam"])
def test_a_mixed_batch_is_served_as_each_task_alone(params, decoding):
    """Figure 2: the outputs of examples with several prompts equal those with a single prompt."""
    generate = generator(MODEL, decoding, 6)
    prompts = 3 * jax.random.normal(jax.random.key(1), (3, 4, CONFIG.d_model))
    inputs = jnp.concatenate([INPUTS] * 3)
    tasks = jnp.asarray([2, 0, 1, 1, 0, 2])
    limits = jnp.full(6, 6)
    mixed = np.asarray(generate(params, prompts, tasks, inputs, limits))
    for task in range(3):
        alone = np.asarray(generate(params, prompts, jnp.full(6, task), inputs, limits))
        np.testing.assert_array_equal(mixed[tasks == task], alone[tasks == task])
    assert len({tuple(row) for row in mixed.tolist()}) > 2


def test_dropout_acts_only_with_keys_and_is_drawn_from_them(params):
    model = T5(CONFIG, dropout_rate=0.5)
    prompt = jnp.ones((2, CONFIG.d_model))

    def encoded(seed):
        keys = None if seed is None else jax.random.split(jax.random.key(seed), len(INPUTS))
        return encode_inputs(model, params, prompt, INPUTS, keys)[0]

    np.testing.assert_array_equal(encoded(None), encode_inputs(MODEL, params, prompt, INPUTS)[0])
    first, repeated, other = map(encoded, (1, 1, 2))
    np.testing.assert_array_equal(first, repeated)
    assert np.abs(np.asarray(first - other)).max() > 0


def test_an_examples_dropout_depends_neither_on_the_batch_nor_on_the_padding(params):
    model = T5(CONFIG, dropout_rate=0.5)
    keys = jax.random.split(jax.random.key(3), len(INPUTS))
    padded = jnp.pad(INPUTS, ((0, 0), (0, 5)))
    later = jnp.pad(TARGETS, ((0, 0), (0, 3)))

    def logits(inputs, targets, keys):
        encoded, mask = encode_inputs(model, params, None, inputs, keys)
        return model.apply({"params": params}, encoded, mask, targets, keys, method="decode")

    together = logits(padded, later, keys)[:, : TARGETS.shape[1]]
    for row in range(len(INPUTS)):
        alone = logits(INPUTS[row : row + 1], TARGETS[row : row + 1], keys[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-4, atol=1e-5)


def test_each_dropout_of_the_model_draws_other_masks(params, monkeypatch):
    """T5X drops in 2 + 4 places for each encoder layer and 2 + 6 for each decoder layer."""
    model = T5(CONFIG, dropout_rate=0.1)
    keys = jax.random.split(jax.random.key(0), len(INPUTS))
    used, mask_of = {}, Dropout._mask

    def noted(module, masks):
        used["/".join(module.path)] = mask_of(module, masks)
        return used["/".join(module.path)]

    monkeypatch.setattr(Dropout, "_mask", noted)
    encoded, mask = encode_inputs(model, params, None, INPUTS, keys)
    model.apply({"params": params}, encoded, mask, TARGETS, keys, method="decode")
    layers = CONFIG.num_encoder_layers, CONFIG.num_decoder_layers
    assert len(used) == 2 + 4 * layers[0] + 2 + 6 * layers[1]
    for first, second in itertools.combinations(map(np.asarray, used.values()), 2):
        assert first.shape != second.shape or (first != second).any()
    values = np.concatenate([np.ravel(array) for array in used.values()])
    assert 0.85 < values.mean() < 0.95


def test_bfloat16_activations_keep_a_float32_head(params):
    model = T5(CONFIG, dtype=jnp.dtype(jnp.bfloat16))
    encoded, mask = encode_inputs(model, params, None, INPUTS)
    assert encoded.dtype == jnp.bfloat16
    decoded = model.apply({"params": params}, encoded, mask, TARGETS, method="decode")
    assert decoded.dtype == jnp.float32
