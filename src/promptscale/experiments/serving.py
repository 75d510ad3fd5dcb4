"""Figure 2: a frozen model serves all tasks at once, each example with its task's prompt.

With tuned models, each task has its model, and requests that arrive together are served in a small
batch per task. Both ways run here on the same requests, cut as in training, and the same frozen
model. Activations are float32 whatever the training's are, so that equal answers do not depend on
how sums are rounded.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from flax import traverse_util
from jaxtyping import Array, Int

from promptscale import prompts
from promptscale.checkpoints.sharded import load_model
from promptscale.config.jobs import PromptTuningJob
from promptscale.data.batches import pad, padded_length
from promptscale.data.microbatches import rounded_length
from promptscale.data.prepared import read
from promptscale.distributed import multihost
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout
from promptscale.experiments.task_data import Splits
from promptscale.inference import generator
from promptscale.model import T5
from promptscale.storage.atomic import atomic_write

PER_TASK = 64  # requests of each task
BATCHES = (1, 4, 16)  # requests of each task that arrive together, as far as memory allows


@dataclasses.dataclass(frozen=True)
class Files:
    """Where the demonstration reads and writes; `prompts` and `validation` by task."""

    checkpoint: str
    prompts: Mapping[str, Path]
    validation: Splits
    table: Path


def run(
    job: PromptTuningJob, tasks: Sequence[str], files: Files, layout: Layout = SINGLE_DEVICE
) -> None:
    """Serves the same requests mixed and task by task; writes their agreement and throughput.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    devices = Devices(layout)
    checkpoint = load_model(files.checkpoint, job.architecture, devices)
    vocab_size = job.architecture.vocab_size
    splits = [read(files.validation[task], vocab_size) for task in tasks]
    length = max(padded_length(split.targets) for split in splits)
    longest = max(padded_length(split.inputs) for split in splits)
    inputs_length = min(rounded_length(longest), job.settings.max_input_length)
    requests = np.stack([
        pad([split.inputs[index % len(split)] for index in range(PER_TASK)], inputs_length)
        for split in splits
    ])  # fmt: skip
    positions = len(tasks) * (job.prompt_length + inputs_length)  # of a request of each task
    batches = [batch for batch in BATCHES if batch * positions <= devices.decoded_positions]
    params = traverse_util.unflatten_dict(checkpoint.params, sep="/")
    task_prompts = np.stack([prompts.load(files.prompts[task]) for task in tasks])
    model = T5(job.architecture)
    generate = generator(model, job.evaluation.decoding, length, devices.replicated())

    def serve(task_indices: Int[np.ndarray, " B"], inputs: Int[np.ndarray, "B S"]) -> Array:
        limits = np.full(len(inputs), length)
        return generate(params, task_prompts, task_indices, inputs, limits)

    rows = []
    for batch in batches or BATCHES[:1]:
        mixed, mixed_seconds = _timed(serve, requests, batch, mixed=True)
        separate, separate_seconds = _timed(serve, requests, batch, mixed=False)
        rows.append({
            "size": job.size,
            "tasks": len(tasks),
            "requests": requests.shape[0] * PER_TASK,
            "per_task": batch,
            "identical": float(np.mean(np.all(mixed == separate, axis=-1))),
            "mixed_per_second": requests.shape[0] * PER_TASK / mixed_seconds,
            "separate_per_second": requests.shape[0] * PER_TASK / separate_seconds,
            "origin": job.origin,
            "label": job.label,
        })  # fmt: skip
    if multihost.is_primary():
        with atomic_write(files.table) as partial:
            pd.DataFrame(rows).to_csv(partial, index=False)


def _timed(
    serve: Callable[..., Array], requests: Int[np.ndarray, "K R S"], batch: int, *, mixed: bool
) -> tuple[Int[np.ndarray, "K R L"], float]:
    """Serves all requests, `batch` of each task at a time; returns the outputs and the seconds."""
    indices = np.arange(len(requests))
    groups = [indices] if mixed else np.split(indices, len(indices))

    def serve_all() -> list[Array]:
        outputs = []
        for start in range(0, requests.shape[1], batch):
            for group in groups:
                inputs = requests[group, start : start + batch].reshape(-1, requests.shape[2])
                outputs.append(serve(np.repeat(group, batch), inputs))
        return jax.block_until_ready(outputs)

    serve_all()  # compiles
    started = time.perf_counter()
    outputs = serve_all()
    seconds = time.perf_counter() - started
    by_batch = np.concatenate(outputs).reshape(-1, len(requests), batch, outputs[0].shape[1])
    return by_batch.swapaxes(0, 1).reshape(*requests.shape[:2], -1), seconds
