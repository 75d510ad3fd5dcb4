from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from flax import serialization
from flax.traverse_util import unflatten_dict
from safetensors.numpy import save_file

from promptscale.checkpoints import huggingface, t5x
from promptscale.checkpoints.fit import check_vocabulary
from promptscale.checkpoints.pointer import read_pointer, write_pointer
from promptscale.checkpoints.read import check_checkpoint, open_checkpoint, read_embedding
from promptscale.checkpoints.sharded import load_model
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.sizes import SIZES
from promptscale.distributed.mesh import Devices
from promptscale.errors import CheckpointError

from . import synthetic_checkpoints as synthetic


@pytest.fixture
def checkpoint() -> Checkpoint:
    return synthetic.checkpoint()


def written(tmp_path: Path, checkpoint: Checkpoint) -> str:
    t5x.write(tmp_path / "checkpoint_5", checkpoint)
    return str(tmp_path / "checkpoint_5")


def test_the_authors_checkpoint(shared: Path):
    location = shared / "data/prompt-tuning/test_data/test_t5_1_1_tiny/checkpoint_3"
    shapes = synthetic.t5_shapes(
        d_model=4, d_ff=8, joint=4, heads=2, layers=2, vocab=32128, buckets=4
    )
    checkpoint = open_checkpoint(str(location), shapes)
    assert checkpoint.step == 3
    assert checkpoint.params.keys() == checkpoint.optimizer.keys() == shapes.keys()
    assert open_checkpoint(str(location), shapes, with_optimizer=False).optimizer == {}


def test_a_hugging_face_folder(shared: Path):
    shapes = synthetic.t5_shapes(
        d_model=64, d_ff=128, joint=64, heads=4, layers=2, vocab=512, buckets=32
    )
    checkpoint = open_checkpoint(str(shared / "oracle/huggingface/d64"), shapes)
    assert (checkpoint.step, checkpoint.optimizer) == (0, {})
    assert checkpoint.params.keys() == shapes.keys()


@pytest.mark.parametrize("runs", [None, 2])
def test_parameters_are_loaded_in_float32(tmp_path: Path, checkpoint: Checkpoint, runs: int | None):
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in checkpoint.params.items()}
    location = written(tmp_path, Checkpoint(5, half, checkpoint.optimizer))
    loaded = load_model(location, synthetic.ARCHITECTURE, Devices(), with_optimizer=True, runs=runs)
    params = {name: np.asarray(array) for name, array in loaded.params.items()}
    expected = {name: array.astype(np.float32) for name, array in half.items()}
    if runs:
        expected = {name: np.stack([array] * runs) for name, array in expected.items()}
    synthetic.assert_identical(params, expected)
    assert loaded.optimizer.keys() == checkpoint.optimizer.keys()
    for name, slots in checkpoint.optimizer.items():
        synthetic.assert_identical(loaded.optimizer[name], slots)


def test_states_that_are_not_restored_do_not_matter(tmp_path: Path, checkpoint: Checkpoint):
    """Prompt tuning starts from a checkpoint of Adam; restoring its states is refused."""
    (tmp_path / "adam").mkdir()
    leaf = np.ones(3, np.float32)
    adam = {"0": {"count": np.int32(5), "mu": {"x": leaf}, "nu": {"x": leaf}}}
    state = {"step": np.int32(5), "param_states": adam, "ema": {"x": leaf}}
    target = unflatten_dict(checkpoint.params, sep="/")
    content = serialization.msgpack_serialize({"optimizer": {"target": target, "state": state}})
    (tmp_path / "adam" / "checkpoint").write_bytes(content)
    location = str(tmp_path / "adam")
    check_checkpoint(location, synthetic.SHAPES, with_optimizer=False)
    loaded = load_model(location, synthetic.ARCHITECTURE, Devices())
    assert loaded.step == 5 and loaded.optimizer == {}
    with pytest.raises(CheckpointError, match=r"param_states/0/.* `restore_accumulators` is false"):
        load_model(location, synthetic.ARCHITECTURE, Devices(), with_optimizer=True)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_values_are_checked_where_they_are_read(tmp_path: Path, checkpoint: Checkpoint, dtype):
    name = "encoder/layers_0/mlp/wo/kernel"
    checkpoint.params[name] = checkpoint.params[name].astype(dtype)
    checkpoint.params[name][7, 2:4] = np.inf, np.nan
    location = written(tmp_path, checkpoint)
    array = open_checkpoint(location, synthetic.SHAPES).params[name]
    finite = np.asarray(checkpoint.params[name][:7], np.float32)
    np.testing.assert_array_equal(np.asarray(array.read((slice(7), slice(6))), np.float32), finite)
    with pytest.raises(CheckpointError, match=f"2 of the 18 values .* {name} .* are NaN"):
        array.read((slice(7, 10), slice(6)))
    for use in (
        lambda: check_checkpoint(location, synthetic.SHAPES),
        lambda: load_model(location, synthetic.ARCHITECTURE, Devices(), activations="bfloat16"),
    ):
        with pytest.raises(CheckpointError, match="2 of the 60 values"):
            use()


def test_a_location_is_expanded(tmp_path: Path, checkpoint: Checkpoint, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    t5x.write("~/models/checkpoint_5", checkpoint)
    assert open_checkpoint("~/models/checkpoint_5", synthetic.SHAPES).step == checkpoint.step
    write_pointer("~/models/checkpoint_5", "digest", tmp_path / "model.json")
    assert read_pointer(str(tmp_path / "model.json")) == "~/models/checkpoint_5"
    np.testing.assert_array_equal(
        read_embedding("~/models/checkpoint_5"), checkpoint.params["token_embedder/embedding"]
    )


@pytest.mark.parametrize("size", [32_100, 32_128])
def test_a_vocabulary_may_be_smaller_than_the_embedding(size: int):
    check_vocabulary(Path("spiece.model"), size, SIZES["small"])


def test_the_error_counts_the_arrays_that_do_not_fit(tmp_path: Path, checkpoint: Checkpoint):
    params, optimizer = checkpoint.params, checkpoint.optimizer
    del params["encoder/encoder_norm/scale"], params["decoder/logits_dense/kernel"]
    params["encoder/prompt/prompt/prompt"] = np.zeros((5, 6), np.float32)
    params["decoder/layers_1/mlp/wo/kernel"] = np.zeros((10, 6), np.float32)
    params["token_embedder/embedding"] = params["token_embedder/embedding"].T
    params["decoder/decoder_norm/scale"] = np.zeros(6, np.int32)
    optimizer["encoder/prompt/prompt/prompt"] = dict(optimizer["token_embedder/embedding"])
    del optimizer["encoder/relpos_bias/rel_embedding"]
    del optimizer["encoder/layers_0/mlp/wi_0/kernel"]["v_col"]
    optimizer["encoder/layers_0/mlp/wi_1/kernel"]["v_row"] = np.zeros(7, np.float32)
    location = written(tmp_path, checkpoint)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(location, synthetic.SHAPES)
    assert str(caught.value) == (
        f"The checkpoint {location} does not fit the model: it holds a prompt and the model that "
        "it was trained on; name the checkpoint of the model; of its arrays "
        "4 are missing (accumulator v_col of encoder/layers_0/mlp/wi_0/kernel, accumulators of "
        "encoder/relpos_bias/rel_embedding, decoder/logits_dense/kernel and 1 more), "
        "3 are unknown (accumulators of encoder/prompt/prompt/prompt, "
        "decoder/layers_1/mlp/wo/kernel, encoder/prompt/prompt/prompt), "
        "3 are of another shape or type (accumulator v_row of encoder/layers_0/mlp/wi_1/kernel is "
        "(7,), should be (1,) or (10,) or (6,), decoder/decoder_norm/scale is int32 (6,), should "
        "be float (6,), token_embedder/embedding is float32 (6, 33), should be float (33, 6))."
    )


def test_a_hugging_face_checkpoint_that_does_not_fit(tmp_path: Path, checkpoint: Checkpoint):
    """T5 1.0 ties the head to the embedding, so that the file has no lm_head."""
    tensors = {
        theirs.format(layer=0): checkpoint.params[ours.format(layer=0)].T.copy()
        for theirs, ours, transposed in huggingface.TABLE
        if transposed and theirs != "lm_head.weight"
    }
    save_file(tensors | {"adapter.weight": np.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"as T5 1\.0.* 9 are missing .*1 is unknown \(adapt"):
        open_checkpoint(str(tmp_path), synthetic.SHAPES)


def test_nothing_there(tmp_path: Path):
    with pytest.raises(CheckpointError, match=f"There is no checkpoint at {tmp_path}/nothing"):
        open_checkpoint(f"{tmp_path}/nothing", {})
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"PyTorch.*folder with a file `checkpoint`"):
        open_checkpoint(str(tmp_path), {})
