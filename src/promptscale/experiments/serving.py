"""Figure 2: a frozen model serves all tasks at once, each example with its task's prompt.

With tuned models, each task has its model, and requests that arrive together are served in a small
batch per task. Both ways run here on the same requests and the same frozen model.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import traverse_util
from jaxtyping import Array, Float, Int

from promptscale import prompts
from promptscale.checkpoints.sharded import load_model
from promptscale.config.jobs import PromptTuningJob
from promptscale.data.batches import pad, padded_length
from promptscale.data.prepared import read
from promptscale.distributed import multihost
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout
from promptscale.evaluation.dev_set import Generate
from promptscale.experiments.task_data import Splits
from promptscale.inference import Params, generator
from promptscale.model import T5
from promptscale.storage.atomic import atomic_write

PER_TASK = 64  # requests of each task
BATCHES = (1, 4, 16)  # requests of each task that arrive together


@dataclasses.dataclass(frozen=True)
class Files:
    """Where the demonstration reads and writes; `prompts` and `validation` by task."""

    checkpoint: str
    prompts: Mapping[str, Path]
    validation: Splits
    table: Path


@dataclasses.dataclass(frozen=True)
class Server:
    """A frozen model with a prompt per task."""

    params: Params
    prompts: Float[np.ndarray, "K P D"]
    generate: Generate
    length: int

    def serve(self, tasks: Int[np.ndarray, " B"], inputs: Int[np.ndarray, "B S"]) -> Array:
        """Generated ids [B, length] for requests of any tasks, in a single batch."""
        return self.generate(self.params, self.prompts[tasks], inputs, self.length)


def run(
    job: PromptTuningJob, tasks: Sequence[str], files: Files, layout: Layout = SINGLE_DEVICE
) -> None:
    """Serves the same requests mixed and task by task; writes their agreement and throughput.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    devices = Devices(layout)
    checkpoint = load_model(files.checkpoint, job.architecture, devices)
    splits = [read(files.validation[task]) for task in tasks]
    length = max(padded_length(split.targets, multiple=1) for split in splits)
    inputs_length = max(padded_length(split.inputs) for split in splits)
    requests = np.stack([
        pad([split.inputs[index % len(split)] for index in range(PER_TASK)], inputs_length)
        for split in splits
    ])  # fmt: skip
    server = Server(
        traverse_util.unflatten_dict(checkpoint.params, sep="/"),
        np.stack([prompts.load(files.prompts[task]) for task in tasks]),
        generator(T5(job.architecture), job.evaluation.decoding, length, devices.replicated()),
        length,
    )
    rows = []
    for batch in BATCHES:
        mixed, mixed_seconds = _timed(server, requests, batch, mixed=True)
        separate, separate_seconds = _timed(server, requests, batch, mixed=False)
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
    server: Server, requests: Int[np.ndarray, "K R S"], batch: int, *, mixed: bool
) -> tuple[Int[np.ndarray, "K R L"], float]:
    """Serves all requests, `batch` of each task at a time; returns the outputs and the seconds."""

    def serve() -> list[Array]:
        outputs = []
        for start in range(0, requests.shape[1], batch):
            window = requests[:, start : start + batch]
            tasks = np.repeat(np.arange(len(window)), window.shape[1])
            inputs = window.reshape(-1, window.shape[2])
            if mixed:
                outputs.append(server.serve(tasks, inputs))
            else:
                parts = [
                    server.serve(tasks[tasks == task], inputs[tasks == task])
                    for task in range(len(window))
                ]
                outputs.append(jnp.concatenate(parts))
        return jax.block_until_ready(outputs)

    serve()  # compiles
    started = time.perf_counter()
    outputs = serve()
    seconds = time.perf_counter() - started
    shaped = [np.asarray(out).reshape(len(requests), batch, -1) for out in outputs]
    return np.concatenate(shaped, axis=1), seconds
