"""A frozen model that is loaded in bfloat16 computes what its float32 parameters would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from promptscale.checkpoints.sharded import load_model
from promptscale.distributed.mesh import Devices
from promptscale.inference import encode_inputs
from promptscale.model import T5
from tests import tiny

INPUTS = jnp.asarray([[5, 9, 12, 7, 33, 1], [8, 40, 1, 0, 0, 0]])
TARGETS = jnp.asarray([[11, 3, 25, 1], [17, 1, 0, 0]])
HEAD = "decoder/logits_dense/kernel"


@pytest.fixture(scope="module")
def params(tmp_path_factory) -> dict[str, dict[str, jax.Array]]:
    """The parameters of a checkpoint by flat name, loaded for either dtype of the activations."""
    folder = tmp_path_factory.mktemp("bfloat16")
    tiny.write_checkpoint(folder / "checkpoint", tiny.architecture())
    return {
        activations: load_model(
            str(folder / "checkpoint"), tiny.architecture(), Devices(), activations=activations
        ).params
        for activations in ("float32", "bfloat16")
    }


def logits(activations: str, flat: dict[str, jax.Array]) -> np.ndarray:
    model = T5(tiny.architecture(), dtype=jnp.dtype(activations))
    nested = traverse_util.unflatten_dict(flat, sep="/")

    @jax.jit
    def run(params):
        encoded, mask = encode_inputs(model, params, None, INPUTS)
        return model.apply({"params": params}, encoded, mask, TARGETS, method="decode")

    return np.asarray(run(nested))


def test_all_parameters_but_the_head_are_stored_in_bfloat16(params):
    for name, array in params["bfloat16"].items():
        assert array.dtype == (jnp.float32 if name == HEAD else jnp.bfloat16), name
        exact = params["float32"][name]
        assert exact.dtype == jnp.float32
        np.testing.assert_array_equal(array, exact.astype(array.dtype))


def test_storing_in_bfloat16_changes_no_logit_of_bfloat16_activations(params):
    """Parameters are cast to the activations' dtype where they are used."""
    stored, cast = (logits("bfloat16", params[dtype]) for dtype in ("bfloat16", "float32"))
    np.testing.assert_array_equal(stored, cast)


def test_logits_agree_with_float32_within_bfloat16s_rounding(params):
    rounded, exact = (logits(dtype, params[dtype]) for dtype in ("bfloat16", "float32"))
    error = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
    assert 0 < error < 0.02  # bfloat16 has 8 bits: 2^-8 = 0.004 for each rounding
