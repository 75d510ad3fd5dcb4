"""Several prompts in a batch: all tasks (Figure 2), and an ensemble in one pass (section 6).

With tuned models, each task has its model, and requests that arrive together are served in a small
batch per task. An ensemble of models answers with one model after another. Both ways run here on
the same requests, cut as in training, and the same frozen model: the prompts together, and a batch
per prompt. Activations are float32 whatever the training's are, so that equal answers do not depend
on how sums are rounded.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from flax import traverse_util
from jaxtyping import Array, Int

from promptscale import prompts
from promptscale.checkpoints.sharded import load_model
from promptscale.config.jobs import PromptTuningJob
from promptscale.data.batches import pad, padded_length
from promptscale.data.prepared import read
from promptscale.data.shapes import rounded_length
from promptscale.distributed import multihost
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout
from promptscale.experiments.task_data import Splits
from promptscale.inference import generator
from promptscale.model import T5
from promptscale.storage.atomic import atomic_write

REQUESTS = 64  # of each prompt
BATCHES = (1, 4, 16)  # requests of each prompt that arrive together, as far as memory allows


@dataclasses.dataclass(frozen=True)
class Files:
    """Where the demonstration reads and writes.

    `prompts` are those of each task, by seed; those of the first task are the ensemble.
    """

    checkpoint: str
    prompts: Mapping[str, Sequence[Path]]
    validation: Splits
    table: Path


def run(job: PromptTuningJob, files: Files, layout: Layout = SINGLE_DEVICE) -> None:
    """Serves the same requests together and by prompt; writes their agreement and throughput.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
    """
    devices = Devices(layout)
    checkpoint = load_model(files.checkpoint, job.architecture, devices)
    vocab_size = job.architecture.vocab_size
    splits = [read(files.validation[task], vocab_size) for task in files.prompts]
    length = max(padded_length(split.targets) for split in splits)
    longest = max(padded_length(split.inputs) for split in splits)
    inputs_length = min(rounded_length(longest), job.settings.max_input_length)
    requests = np.stack([
        pad([split.inputs[index % len(split)] for index in range(REQUESTS)], inputs_length)
        for split in splits
    ])  # fmt: skip
    params = traverse_util.unflatten_dict(checkpoint.params, sep="/")
    model = T5(job.architecture)
    generate = generator(model, job.evaluation.decoding, length, devices.replicated())
    first_seeds = [paths[0] for paths in files.prompts.values()]
    ensemble = next(iter(files.prompts.values()))
    works = {
        "tasks": (first_seeds, requests),
        "ensemble": (ensemble, np.repeat(requests[:1], len(ensemble), axis=0)),
    }
    rows = []
    for work, (paths, asked) in works.items():
        count = len(paths)
        stack = devices.replicate(np.stack([prompts.load(path) for path in paths]))

        def serve(
            indices: Int[np.ndarray, " B"], inputs: Int[np.ndarray, "B S"], stack: Any = stack
        ) -> Array:
            return generate(params, stack, indices, inputs, np.full(len(inputs), length))

        positions = count * (job.prompt_length + inputs_length)  # of a request of each prompt
        batches = [batch for batch in BATCHES if batch * positions <= devices.decoded_positions]
        for batch in batches or BATCHES[:1]:
            together, together_seconds = _timed(serve, asked, batch, together=True)
            separate, separate_seconds = _timed(serve, asked, batch, together=False)
            rows.append({
                "size": job.size,
                "work": work,
                "prompts": count,
                "requests": count * REQUESTS,
                "per_prompt": batch,
                "identical": float(np.mean(np.all(together == separate, axis=-1))),
                "together_per_second": count * REQUESTS / together_seconds,
                "separate_per_second": count * REQUESTS / separate_seconds,
                "device": jax.devices()[0].device_kind,
                "origin": job.origin,
                "label": job.label,
            })  # fmt: skip
    if multihost.is_primary():
        with atomic_write(files.table) as partial:
            pd.DataFrame(rows).to_csv(partial, index=False)


def _timed(
    serve: Callable[..., Array], requests: Int[np.ndarray, "K R S"], batch: int, *, together: bool
) -> tuple[Int[np.ndarray, "K R L"], float]:
    """Serves all requests, `batch` of each prompt at a time; returns outputs and seconds."""
    indices = np.arange(len(requests))
    groups = [indices] if together else np.split(indices, len(indices))

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
