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
    import numpy as np

    from tests import tiny

    draw = np.random.default_rng(0)
    tiny.write_vocabulary(folder)
    tiny.write_task(folder / TASK, draw)
    tiny.write_documents(folder / "text.safetensors", draw)
    tiny.write_checkpoint(folder / "checkpoint", architecture())
    return folder


def architecture():
    """A model with four heads, which four devices can share."""
    from promptscale.config.sizes import ModelConfig

    return ModelConfig(
        d_model=32, d_ff=64, num_encoder_layers=2, num_decoder_layers=2, num_heads=4, head_dim=8,
        vocab_size=128,
    )  # fmt: skip


def job(method: str, **changes):
    """A job of prompt or model tuning with two seeds."""
    from promptscale.config.jobs import ModelTuningJob, PromptTuningJob
    from promptscale.config.settings import EvaluationSettings, ModelTuning, PromptTuning

    settings = {
        "steps": 6, "batch_size": 8, "evaluate_every": 2, "save_every": 1, "dropout_rate": 0.1,
        "activations": "float32",
    } | changes  # fmt: skip
    common = {
        "origin": "generated", "label": "Miniature", "size": "tiny", "architecture": architecture(),
        "checkpoint": "span_corruption", "tasks": (TASK,), "seeds": SEEDS,
        "evaluation": EvaluationSettings(),
    }  # fmt: skip
    if method == "prompt_tuning":
        settings |= {"prompt_length": 5, "optimizer": {"learning_rate": 0.3}}
        return PromptTuningJob(settings=PromptTuning(**settings), **common)
    settings |= {"restore_accumulators": False, "optimizer": {"learning_rate": 0.001}}
    return ModelTuningJob(settings=ModelTuning(**settings), **common)


def adapt(folder: Path, out: Path, layout: dict[str, int], **changes) -> None:
    """Adapts the model to language modelling, as the workflow's script does."""
    from promptscale.config.jobs import LanguageModelingJob
    from promptscale.config.settings import LanguageModeling
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
    from promptscale.experiments.tuning import run as tune

    tune(job(method, **changes), files(folder, out, method), Layout(**layout))


def files(folder: Path, out: Path, method: str):
    """Where a job reads and writes."""
    from promptscale.experiments.tuning import Files

    return Files(
        checkpoint=str(folder / "checkpoint"),
        vocabulary=folder / "pieces.model",
        train={TASK: folder / TASK / "train"},
        validation={TASK: folder / TASK / "validation"},
        metrics=out / "metrics.csv",
        predictions=out / "predictions",
        prompts=out / "prompts" if method == "prompt_tuning" else None,
        state=str(out / "state"),
    )


def main(folder: str, out: str, method: str, *settings: str) -> None:
    """Connects the processes that the environment names, and runs the method."""
    from types import SimpleNamespace

    from promptscale.workflow_script import script_setup

    log = Path(out, f"log_{os.environ.get('JAX_PROCESS_ID', '0')}.txt")
    resources = {"events": str(Path(out, "events.jsonl"))}
    stand_in = SimpleNamespace(log=[log], threads=1, config={}, rule="tune", resources=resources)
    pairs = {key: int(value) for key, value in (setting.split("=") for setting in settings)}
    layout = {key: pairs.pop(key) for key in ("model_axis", "token_budget") if key in pairs}
    with script_setup(stand_in):
        from promptscale.training import resume

        resume.LARGE = pairs.pop("large", resume.LARGE)
        run(Path(folder), Path(out), method, layout, **pairs)


if __name__ == "__main__":
    main(*sys.argv[1:])
