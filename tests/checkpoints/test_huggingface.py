import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from promptscale.checkpoints import huggingface
from promptscale.errors import CheckpointError

from . import synthetic_checkpoints as synthetic


def whole(folder: Path) -> dict[str, np.ndarray]:
    return {name: array.whole() for name, array in huggingface.open_arrays(folder).items()}


@pytest.fixture
def oracle(shared: Path) -> Path:
    return shared / "oracle/huggingface/d64"


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    """The tensors of a T5 1.1 with a single layer, made from `TABLE`."""
    params = synthetic.checkpoint().params
    tensors = {}
    for theirs, ours, transposed in huggingface.TABLE:
        array = params[ours.format(layer=0)]
        tensors[theirs.format(layer=0)] = np.ascontiguousarray(array.T if transposed else array)
    return tensors


def save(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    return folder


def shard(folder: Path, tensors: dict[str, np.ndarray], shards: int = 3) -> Path:
    folder.mkdir()
    weight_map = {}
    for index in range(shards):
        file = f"model-{index + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in sorted(tensors)[index::shards]}
        save_file(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def test_names_shapes_and_orientation(oracle: Path):
    params = whole(oracle)
    assert {name: array.shape for name, array in params.items()} == synthetic.t5_shapes(
        d_model=64, d_ff=128, joint=64, heads=4, layers=2, vocab=512, buckets=32
    )
    theirs = load_file(oracle / "model.safetensors")
    # The shape of a square matrix does not show whether it was transposed.
    for name, source in {
        "encoder/layers_1/attention/query/kernel": "encoder.block.1.layer.0.SelfAttention.q",
        "decoder/layers_0/self_attention/out/kernel": "decoder.block.0.layer.0.SelfAttention.o",
        "decoder/layers_1/encoder_decoder_attention/key/kernel": (
            "decoder.block.1.layer.1.EncDecAttention.k"
        ),
        "decoder/layers_1/mlp/wo/kernel": "decoder.block.1.layer.2.DenseReluDense.wo",
        "decoder/logits_dense/kernel": "lm_head",
    }.items():
        assert np.array_equal(params[name], theirs[f"{source}.weight"].T), name
    assert np.array_equal(params["token_embedder/embedding"], theirs["shared.weight"])


def test_shards_are_read_as_one(oracle: Path, tmp_path: Path):
    tensors = load_file(oracle / "model.safetensors")
    sharded = whole(shard(tmp_path / "sharded", tensors))
    synthetic.assert_identical(sharded, whole(oracle))


def test_the_table_names_each_array_once(tensors: dict[str, np.ndarray], tmp_path: Path):
    assert len(tensors) == len(huggingface.TABLE)
    params = whole(save(tmp_path, tensors))
    synthetic.assert_identical(params, synthetic.checkpoint().params)


def test_bfloat16(tensors: dict[str, np.ndarray], tmp_path: Path):
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in tensors.items()}
    params = whole(save(tmp_path, half))
    expected = synthetic.checkpoint().params
    synthetic.assert_identical(
        params, {name: array.astype(ml_dtypes.bfloat16) for name, array in expected.items()}
    )


def test_copies_of_the_embedding_must_agree(tensors: dict[str, np.ndarray], tmp_path: Path):
    shared_embedding = tensors["shared.weight"]
    tensors["encoder.embed_tokens.weight"] = shared_embedding.copy()
    tensors["decoder.embed_tokens.weight"] = shared_embedding.copy()
    assert whole(save(tmp_path, tensors)).keys() == synthetic.SHAPES.keys()
    tensors["decoder.embed_tokens.weight"][3, 1] += 1
    with pytest.raises(CheckpointError, match=r"decoder\.embed_tokens\.weight.*shared\.weight"):
        whole(save(tmp_path, tensors))


def test_a_copy_stands_for_the_embedding(tensors: dict[str, np.ndarray], tmp_path: Path):
    """safetensors stores a shared tensor under any of its names."""
    tensors["encoder.embed_tokens.weight"] = tensors.pop("shared.weight")
    params = whole(save(tmp_path, tensors))
    synthetic.assert_identical(params, synthetic.checkpoint().params)


def test_unknown_arrays_keep_their_names(tensors: dict[str, np.ndarray], tmp_path: Path):
    """T5 1.0 has an ungated `wi`; an adapter adds further tensors."""
    extra = "encoder.block.0.layer.1.DenseReluDense.wi.weight"
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors |= {extra: np.zeros((2, 2), np.float32), unused: np.zeros((4, 2), np.float32)}
    assert whole(save(tmp_path, tensors)).keys() == {*synthetic.SHAPES, extra}


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file(tensors: dict[str, np.ndarray], tmp_path: Path, keep: int):
    file = save(tmp_path, tensors) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=rf"{file} is damaged \(.*\): it (is|begins)"):
        whole(tmp_path)


def test_broken_shards(tensors: dict[str, np.ndarray], tmp_path: Path):
    folder = shard(tmp_path / "sharded", tensors)
    first, second, _ = sorted(folder.glob("model-*"))
    shutil.copy(first, second)
    with pytest.raises(CheckpointError, match="do not hold"):
        whole(folder)
    second.unlink()
    with pytest.raises(CheckpointError, match=f"{second} is missing"):
        whole(folder)
    for content in ("{", "[]", '{"weight_map": 3}'):
        (folder / "model.safetensors.index.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"index\.json is damaged"):
            whole(folder)
