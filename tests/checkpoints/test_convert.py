"""Conversions of checkpoints between T5X's format and Hugging Face's."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from promptscale.checkpoints import arrays, huggingface, t5x, write_huggingface
from promptscale.checkpoints.convert import convert
from promptscale.checkpoints.read import open_t5
from promptscale.errors import CheckpointError

from . import synthetic_checkpoints as synthetic


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A checkpoint of T5X whose larger arrays take several chunks."""
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 256)
    t5x.write(tmp_path / "t5x", synthetic.checkpoint())
    return str(tmp_path / "t5x")


def whole(folder: Path) -> dict[str, np.ndarray]:
    return {name: array.whole() for name, array in huggingface.open_arrays(folder).items()}


def test_the_architecture_is_read_off_the_arrays(source: str):
    assert open_t5(source)[1] == synthetic.ARCHITECTURE


def test_there_and_back_gives_the_same_bits(source: str, tmp_path: Path):
    convert(source, tmp_path / "hf", "huggingface")
    convert(str(tmp_path / "hf"), tmp_path / "back", "t5x")
    back = synthetic.read(tmp_path / "back")
    synthetic.assert_identical(back.params, synthetic.checkpoint().params)
    assert back.optimizer == {}
    names = {path.name for path in (tmp_path / "hf").iterdir()}
    assert names == {"config.json", "generation_config.json", "model.safetensors"}


def test_the_authors_checkpoint_there_and_back(shared: Path, tmp_path: Path):
    authors = shared / "data/prompt-tuning/test_data/test_t5_1_1_tiny/checkpoint_3"
    convert(str(authors), tmp_path / "hf", "huggingface")
    convert(str(tmp_path / "hf"), tmp_path / "back", "t5x")
    expected = synthetic.read(authors, with_optimizer=False).params
    synthetic.assert_identical(synthetic.read(tmp_path / "back").params, expected)


def test_hugging_faces_file_there_and_back(shared: Path, tmp_path: Path):
    """A file that transformers wrote has the same tensors after a conversion to T5X and back."""
    folder = shared / "oracle/huggingface/d64"
    convert(str(folder), tmp_path / "t5x", "t5x")
    convert(str(tmp_path / "t5x"), tmp_path / "hf", "huggingface")
    expected = load_file(folder / "model.safetensors")
    for copy in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
        del expected[copy]  # of shared.weight
    synthetic.assert_identical(load_file(tmp_path / "hf" / "model.safetensors"), expected)
    theirs = json.loads((folder / "config.json").read_text())
    ours = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert ours == {key: theirs[key] for key in ours}


def test_shards(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    convert(source, tmp_path / "single", "huggingface")
    monkeypatch.setattr(write_huggingface, "SHARD_BYTES", 1000)
    convert(source, tmp_path / "shards", "huggingface")
    files = sorted((tmp_path / "shards").glob("model-*.safetensors"))
    assert len(files) > 3 and not (tmp_path / "shards" / "model.safetensors").exists()
    tensors = [load_file(file) for file in files]
    assert all(
        len(shard) == 1 or sum(array.nbytes for array in shard.values()) <= 1000
        for shard in tensors
    )
    index = json.loads((tmp_path / "shards" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(
        array.nbytes for shard in tensors for array in shard.values()
    )
    synthetic.assert_identical(whole(tmp_path / "shards"), whole(tmp_path / "single"))


@pytest.mark.parametrize("kind", ["t5x", "huggingface"])
def test_another_dtype_and_back(source: str, tmp_path: Path, kind: str):
    """bfloat16 is exact in float32, so the second conversion loses nothing."""
    convert(source, tmp_path / "half", kind, "bfloat16")
    convert(str(tmp_path / "half"), tmp_path / "float", "t5x", "float32")
    convert(str(tmp_path / "half"), tmp_path / "stored", "t5x")
    params = synthetic.checkpoint().params
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in params.items()}
    synthetic.assert_identical(synthetic.read(tmp_path / "stored").params, half)
    wide = {name: array.astype(np.float32) for name, array in half.items()}
    synthetic.assert_identical(synthetic.read(tmp_path / "float").params, wide)


def test_a_value_that_the_dtype_cannot_hold_is_refused(tmp_path: Path):
    checkpoint = synthetic.checkpoint()
    name = "encoder/encoder_norm/scale"
    checkpoint.params[name] = np.full(6, np.finfo(np.float32).max)
    t5x.write(tmp_path / "t5x", checkpoint)
    with pytest.raises(CheckpointError, match=f"6 of the 6 .* {name} .* the range of bfloat16"):
        convert(str(tmp_path / "t5x"), tmp_path / "hf", "huggingface", "bfloat16")
    assert [path.name for path in tmp_path.iterdir()] == ["t5x"]


@pytest.mark.parametrize("kind", ["t5x", "huggingface"])
def test_every_byte_is_reported_once(source: str, tmp_path: Path, kind: str):
    reports: list[tuple[int, int]] = []
    convert(source, tmp_path / "out", kind, report=lambda *numbers: reports.append(numbers))
    size = sum(array.nbytes for array in synthetic.checkpoint().params.values())
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})
    assert reports[-1] == (size, size)


def test_no_array_of_several_chunks_is_read_whole_for_t5x(source: str, tmp_path: Path):
    """What bounds the memory of a large checkpoint: a read is of at most a chunk."""
    largest = 0

    def watched(name: str, array: arrays.LazyArray) -> arrays.LazyArray:
        def read(index: arrays.Index) -> np.ndarray:
            nonlocal largest
            part = array.read(index)
            if name.split("/")[-1] in ("kernel", "embedding"):
                largest = max(largest, part.nbytes)
            return part

        return arrays.LazyArray(array.shape, array.dtype, read)

    t5x.write(tmp_path / "out", open_t5(source)[0].map(watched))
    assert 128 < largest <= 256
    synthetic.assert_identical(
        synthetic.read(tmp_path / "out").params, synthetic.checkpoint().params
    )
