"""A program that trains a small model, and the files that it needs.

    python -m tests.distributed.site FOLDER OUT METHOD [key=value ...]

The tests run it with different numbers of devices and processes, and kill it.
"""

import os
import sys
from pathlib import Path

SEEDS = (0, 1)
TASK = "boolq"


def make(folder: Path) -> Path:
    """Writes the vocabulary, the data and a checkpoint of random parameters."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import sentencepiece
    from flax import traverse_util

    from promptscale.checkpoints import t5x
    from promptscale.data import prepared
    from promptscale.data.corpus import write_text
    from promptscale.model import T5

    draw = np.random.default_rng(0)
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(["True False a b c d"] * 50), model_prefix=str(folder / "pieces"),
        vocab_size=16, hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        minloglevel=2,
    )  # fmt: skip
    for split, count in (("train", 40), ("validation", 20)):
        inputs = [draw.integers(3, 15, draw.integers(4, 12)).tolist() for _ in range(count)]
        labels = [sum(ids) % 2 for ids in inputs]
        rows = [
            {"id": str(i), "inputs": "a", "targets": ("False", "True")[label], "label": label}
            for i, label in enumerate(labels)
        ]
        targets = [[3 + label] for label in labels]
        ragged = (prepared.Ragged.pack(part) for part in (inputs, targets))
        prepared.write(folder / TASK / split, *ragged, rows)
    documents = [draw.integers(3, 15, 30).tolist() for _ in range(40)]
    write_text(folder / "text.safetensors", prepared.Ragged.pack(documents))
    tokens = jnp.ones((1, 2), jnp.int32)
    params = jax.jit(T5(architecture()).init)(jax.random.key(0), tokens, tokens)["params"]
    flat = {n: np.asarray(leaf) for n, leaf in traverse_util.flatten_dict(params, sep="/").items()}
    t5x.write(folder / "checkpoint", t5x.Checkpoint(1_000_000, flat, {}))
    return folder


def architecture():
    """A model with four heads, which four devices can share."""
    from promptscale.config.sizes import ModelConfig

    return ModelConfig(
        d_model=32, d_ff=64, num_encoder_layers=2, num_decoder_layers=2, num_heads=4, head_dim=8,
        vocab_size=64,
    )  # fmt: skip


def job(method: str, **changes):
    """A job of prompt or model tuning with two seeds."""
    from promptscale.config.jobs import ModelTuningJob, PromptTuningJob
    from promptscale.config.schema import Evaluation, ModelTuning, PromptTuning

    settings = {
        "steps": 6, "batch_size": 8, "evaluate_every": 2, "save_every": 1, "dropout_rate": 0.1,
        "activations": "float32",
    } | changes  # fmt: skip
    common = {
        "world": "miniature", "size": "tiny", "architecture": architecture(),
        "checkpoint": "span_corruption", "tasks": (TASK,), "seeds": SEEDS,
        "evaluation": Evaluation(),
    }  # fmt: skip
    if method == "prompt_tuning":
        settings |= {"prompt_length": 5, "optimizer": {"learning_rate": 0.3}}
        return PromptTuningJob(settings=PromptTuning(**settings), **common)
    settings |= {"restore_accumulators": False, "optimizer": {"learning_rate": 0.001}}
    return ModelTuningJob(settings=ModelTuning(**settings), **common)


def adapt(folder: Path, out: Path, layout: dict[str, int], **changes) -> None:
    """Adapts the model to language modelling, as the workflow's script does."""
    from promptscale.config.jobs import LanguageModelingJob
    from promptscale.config.schema import LanguageModeling
    from promptscale.distributed.mesh import Layout
    from promptscale.experiments.language_modeling import Files, run

    settings = {
        "steps": 4, "batch_size": 8, "inputs_length": 16, "save_every": 1, "dropout_rate": 0.1,
        "activations": "float32", "optimizer": {"learning_rate": 0.001},
    } | changes  # fmt: skip
    files = Files(
        checkpoint=str(folder / "checkpoint"),
        vocabulary=folder / "pieces.model",
        text=[str(folder / "text.safetensors")],
        model=str(out / "checkpoint"),
        losses=out / "losses.csv",
        state=str(out / "state"),
    )
    job = LanguageModelingJob(
        size="tiny",
        architecture=architecture(),
        checkpoint="lm_4",
        settings=LanguageModeling(**settings),
    )
    run(job, files, Layout(**layout))


def broadcast() -> None:
    """Broadcasts a file, then a missing file, then a file that process 0 cannot read."""
    from promptscale.distributed import multihost
    from promptscale.errors import StorageError

    def fail() -> bytes:
        raise StorageError("The file is damaged.")

    assert multihost.broadcast_from_primary(lambda: b"\x00content") == b"\x00content"
    assert multihost.broadcast_from_primary(lambda: None) is None
    multihost.broadcast_from_primary(fail)


def run(folder: Path, out: Path, method: str, layout: dict[str, int], **changes) -> None:
    """Runs a method as the workflow's scripts do."""
    if method == "adaptation":
        adapt(folder, out, layout, **changes)
        return
    if method == "broadcast":
        broadcast()
    from promptscale.distributed.mesh import Layout
    from promptscale.experiments.tuning import Files
    from promptscale.experiments.tuning import run as tune

    files = Files(
        checkpoint=str(folder / "checkpoint"),
        vocabulary=folder / "pieces.model",
        train={TASK: folder / TASK / "train"},
        validation={TASK: folder / TASK / "validation"},
        metrics=out / "metrics.csv",
        predictions=out / "predictions",
        prompts=out / "prompts" if method == "prompt_tuning" else None,
        state=str(out / "state"),
    )
    tune(job(method, **changes), files, Layout(**layout))


def main(folder: str, out: str, method: str, *settings: str) -> None:
    """Connects the processes that the environment names, and runs the method."""
    from types import SimpleNamespace

    from promptscale.workflow_script import script_setup

    log = Path(out, f"log_{os.environ.get('JAX_PROCESS_ID', '0')}.txt")
    stand_in = SimpleNamespace(log=[log], threads=1, config={}, rule="tune")
    pairs = {key: int(value) for key, value in (setting.split("=") for setting in settings)}
    layout = {key: pairs.pop(key) for key in ("model_axis", "examples_at_a_time") if key in pairs}
    with script_setup(stand_in):
        from promptscale.training import resume

        resume.LARGE = pairs.pop("large", resume.LARGE)
        run(Path(folder), Path(out), method, layout, **pairs)


if __name__ == "__main__":
    main(*sys.argv[1:])
