"""The import of a checkpoint refuses at once what a training would refuse, and only that."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from flax import serialization
from flax.traverse_util import unflatten_dict

from promptscale.config.sizes import ModelConfig
from promptscale.model import parameter_shapes
from tests.workflow.test_workflow import snakemake

pytestmark = pytest.mark.slow
ARCHITECTURE = {
    "d_model": 8,
    "d_ff": 16,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "num_heads": 2,
    "head_dim": 4,
    "vocab_size": 33_000,
}
POINTER = "results/models/tiny/span_corruption/model.json"


@pytest.mark.parametrize("restored", [False, True])
def test_states_of_another_optimizer_matter_where_they_are_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: bool
):
    """The location begins with `~`. Prompt tuning reads no states; model tuning restores them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    shapes = parameter_shapes(ModelConfig(**ARCHITECTURE))
    target = unflatten_dict({n: np.ones(s, np.float32) for n, s in shapes.items()}, sep="/")
    adam = {"step": np.int32(7), "param_states": {"0": {"mu": {"x": np.ones(3, np.float32)}}}}
    tree = {"optimizer": {"target": target, "state": adam}}
    (tmp_path / "adam").mkdir()
    (tmp_path / "adam" / "checkpoint").write_bytes(serialization.msgpack_serialize(tree))

    training = {"steps": 2, "batch_size": 2, "optimizer": {"learning_rate": 0.3}}
    config = {
        "origin": "generated",
        "label": "Tiny",
        "sizes": ["tiny"],
        "tasks": ["boolq"],
        "architectures": {"tiny": ARCHITECTURE},
        "seeds": [0],
        "data": {"generated": True},
        "checkpoints": {"span_corruption": "~/adam"},
        "default_checkpoint": "span_corruption",
        "prompt_tuning": training,
        "model_tuning": training | {"restore_accumulators": restored},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    result = snakemake(tmp_path, "--configfile", str(tmp_path / "config.yaml"), "--", POINTER)
    log = (tmp_path / "results/logs/models/tiny-span_corruption.log").read_text()
    if restored:
        assert result.returncode == 1 and not (tmp_path / POINTER).exists()
        assert "`restore_accumulators` is false" in log and "Traceback" not in log
    else:
        assert result.returncode == 0, log
        pointer = json.loads((tmp_path / POINTER).read_text())
        assert pointer["location"] == str(tmp_path / "adam") and len(pointer["digest"]) == 64
