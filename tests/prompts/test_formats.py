"""The formats that prompts come in."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from promptscale import adapters, prompts
from promptscale.errors import CheckpointError

PROMPT = np.random.default_rng(0).normal(0, 30, size=(5, 8)).astype(np.float32)


def write_adapter(folder: Path, array: np.ndarray, **config: object) -> Path:
    """An adapter as PEFT writes it, which has further keys in its configuration."""
    folder.mkdir()
    save_file({"prompt_embeddings": array}, folder / adapters.WEIGHTS)
    about = {
        "peft_type": "PROMPT_TUNING", "task_type": "SEQ_2_SEQ_LM", "num_virtual_tokens": 5,
        "num_transformer_submodules": 1, "token_dim": 8, "revision": None, "num_layers": 2,
    }  # fmt: skip
    (folder / adapters.CONFIG).write_text(json.dumps(about | config))
    return folder


def test_an_adapter_there_and_back(tmp_path):
    adapters.write(tmp_path / "adapter", PROMPT, "t5_hf")
    np.testing.assert_array_equal(prompts.load(tmp_path / "adapter", (5, 8)), PROMPT)
    assert load_file(tmp_path / "adapter" / adapters.WEIGHTS).keys() == {"prompt_embeddings"}
    config = json.loads((tmp_path / "adapter" / adapters.CONFIG).read_text())
    assert config["num_virtual_tokens"] == 5 and config["token_dim"] == 8
    assert config["num_transformer_submodules"] == 1
    assert config["base_model_name_or_path"] == "t5_hf"


def test_the_rows_of_an_adapter_that_peft_does_not_use(tmp_path):
    """PEFT's default stores as many rows again."""
    doubled = np.concatenate([PROMPT, np.full_like(PROMPT, np.nan)])
    folder = write_adapter(tmp_path / "a", doubled, num_transformer_submodules=2)
    np.testing.assert_array_equal(prompts.load(folder), PROMPT)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_an_adapter_of_another_dtype(tmp_path, dtype):
    stored = PROMPT.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    loaded = prompts.load(write_adapter(tmp_path / "a", stored))
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, stored.astype(np.float32))


def test_t5xs_export_there_and_back(tmp_path):
    prompts.save_as_t5x(tmp_path / "run", PROMPT, 1_100_000)
    exported = tmp_path / "run/numpy_checkpoints/checkpoint_1100000"
    file = exported / "encoder.prompt.prompt.prompt"
    with file.open("rb") as opened:
        np.testing.assert_array_equal(np.load(opened), PROMPT)
    for location in (file, exported, exported.parent, tmp_path / "run"):
        np.testing.assert_array_equal(prompts.load(location), PROMPT)
        assert prompts.is_prompt(str(location))


def test_the_latest_step_of_an_export_is_read(tmp_path):
    """The names of the steps have no leading zeros, so their order is that of numbers."""
    for step in (900, 1000):
        folder = tmp_path / f"run/numpy_checkpoints/checkpoint_{step}"
        prompts.save(folder / "encoder.prompt.prompt.prompt", np.full((5, 8), step, np.float32))
    assert prompts.load(tmp_path / "run")[0, 0] == 1000


def test_a_folder_with_a_prompt_file(tmp_path):
    prompts.save(tmp_path / "rte" / "prompt.npy", PROMPT)
    (tmp_path / "rte" / "prompt.json").write_text("{}")
    np.testing.assert_array_equal(prompts.load(tmp_path / "rte"), PROMPT)
    assert prompts.is_prompt(str(tmp_path / "rte"))


def test_what_is_no_prompt(tmp_path):
    (tmp_path / "run" / "checkpoint_5").mkdir(parents=True)
    (tmp_path / "run" / "checkpoint_5" / "checkpoint").write_bytes(b"msgpack")
    for name in ("run", "run/checkpoint_5", "run/checkpoint_5/checkpoint", "absent"):
        assert not prompts.is_prompt(str(tmp_path / name))


def test_a_prompt_of_another_width_is_refused():
    prompts.check_width("p.npy", PROMPT, 8)
    with pytest.raises(CheckpointError, match=r"p.npy is 5 x 8 .* d_model is 16"):
        prompts.check_width("p.npy", PROMPT, 16)
