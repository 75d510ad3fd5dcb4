"""Small random checkpoints for the tests of `promptscale.checkpoints`."""

from pathlib import Path

import ml_dtypes
import numpy as np

from promptscale.checkpoints import t5x
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.sizes import ModelConfig


def t5_shapes(
    *, d_model: int, d_ff: int, joint: int, heads: int, layers: int, vocab: int, buckets: int
) -> dict[str, tuple[int, ...]]:
    """T5X's names and shapes of the parameters of T5 1.1."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embedder/embedding": (vocab, d_model),
        "decoder/logits_dense/kernel": (d_model, vocab),
    }
    towers = {
        "encoder": {"attention": "pre_attention_layer_norm"},
        "decoder": {
            "self_attention": "pre_self_attention_layer_norm",
            "encoder_decoder_attention": "pre_cross_attention_layer_norm",
        },
    }
    for tower, attentions in towers.items():
        shapes[f"{tower}/relpos_bias/rel_embedding"] = (heads, buckets)
        shapes[f"{tower}/{tower}_norm/scale"] = (d_model,)
        for index in range(layers):
            layer = f"{tower}/layers_{index}"
            for attention, norm in attentions.items():
                shapes[f"{layer}/{norm}/scale"] = (d_model,)
                for name in ("query", "key", "value"):
                    shapes[f"{layer}/{attention}/{name}/kernel"] = (d_model, joint)
                shapes[f"{layer}/{attention}/out/kernel"] = (joint, d_model)
            shapes[f"{layer}/pre_mlp_layer_norm/scale"] = (d_model,)
            shapes[f"{layer}/mlp/wi_0/kernel"] = (d_model, d_ff)
            shapes[f"{layer}/mlp/wi_1/kernel"] = (d_model, d_ff)
            shapes[f"{layer}/mlp/wo/kernel"] = (d_ff, d_model)
    return shapes


SHAPES = t5_shapes(d_model=6, d_ff=10, joint=8, heads=2, layers=1, vocab=33, buckets=4)
ARCHITECTURE = ModelConfig(
    d_model=6,
    d_ff=10,
    num_encoder_layers=1,
    num_decoder_layers=1,
    num_heads=2,
    head_dim=4,
    vocab_size=33,
    relative_attention_num_buckets=4,
)


def checkpoint() -> Checkpoint:
    """A T5 1.1 with the shapes `SHAPES`, and factored accumulators for every matrix."""
    rng = np.random.default_rng(0)

    def random(shape: tuple[int, ...]) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    def accumulators(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        factored = len(shape) == 2
        return {
            "m": random((1,)),
            "v": random((1,) if factored else shape),
            "v_row": random(shape[:1] if factored else (1,)),
            "v_col": random(shape[1:] if factored else (1,)),
        }

    params = {name: random(shape) for name, shape in SHAPES.items()}
    return Checkpoint(1_100_000, params, {name: accumulators(SHAPES[name]) for name in SHAPES})


def read(location: str | Path, **options: bool) -> Checkpoint:
    """Reads all arrays of a T5X checkpoint."""
    opened = t5x.open_checkpoint(str(location), **options)
    return opened.map(lambda _, array: array.whole())


def odd_arrays() -> dict[str, np.ndarray]:
    """Unusual dtypes and shapes, in zarr (`kernel`) and in the msgpack file (`scale`)."""
    bits = np.array([[0x7FC00001, 0xFF800000, 0x80000000], [1, 0, 0x3F800000]], np.uint32)
    arrays = {
        "nan_payload": bits.view(np.float32),
        "zeros": np.zeros((4, 3), np.float32),
        "scalar": np.array(2.5, np.float32),
        "bfloat16": np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16),
        "bfloat16_scalar": np.array(1.5, ml_dtypes.bfloat16),
        "float16": np.arange(5, dtype=np.float16),
        "float64": np.array([[np.pi]]),
        "integers": np.array([-1, 2**31 - 1], np.int32),
        "transposed": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    }
    names = {f"{name}/{leaf}": name for name in arrays for leaf in ("kernel", "scale")}
    return {name: arrays[source] for name, source in names.items()}


def assert_identical(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Asserts equal names, dtypes, shapes and bits."""
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype, name
        assert actual[name].shape == array.shape, name
        assert actual[name].tobytes() == array.tobytes(), name
