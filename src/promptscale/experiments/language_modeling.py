"""Pre-training and LM adaptation from files to files: all weights trained on plain text.

Adaptation continues the pre-trained checkpoint with its step and its Adafactor accumulators, as
T5 did. A longer adaptation continues a shorter adaptation's checkpoint in the same way, so that
both together are a single training.
"""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import traverse_util

from promptscale.checkpoints import arrays
from promptscale.checkpoints.fit import check_vocabulary
from promptscale.checkpoints.sharded import load_model
from promptscale.checkpoints.t5x import Checkpoint, write
from promptscale.config.axes import adaptation_steps
from promptscale.config.jobs import LanguageModelingJob
from promptscale.config.sizes import ModelConfig
from promptscale.data.corpus import read_text
from promptscale.data.microbatches import Rows, StepBatch, work
from promptscale.data.objectives import PrefixLM, SpanCorruption
from promptscale.data.shapes import SAMPLED_ROWS, Cut, Shapes
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed import multihost
from promptscale.distributed.mesh import SINGLE_DEVICE, Devices, Layout, to_host
from promptscale.errors import DivergedError
from promptscale.experiments.announcement import announce
from promptscale.model import T5, parameter_shapes
from promptscale.planning.flops import step_flops
from promptscale.storage.atomic import atomic_write
from promptscale.training.loop import Schedule, train
from promptscale.training.methods import ModelTuning, Start, loss_function
from promptscale.training.optimizer import accumulators
from promptscale.training.resume import State
from promptscale.training.step import Step, initial_state

REPORTS = 20  # reports of the loss in a training


@dataclasses.dataclass(frozen=True)
class Files:
    """Where a job reads and writes; `text`, `model` and `state` may be in a bucket.

    Attributes:
      checkpoint: what adaptation starts from; None for pre-training.
      vocabulary: the SentencePiece model.
      text: the prepared shards of the corpus.
      model: the checkpoint that the job writes.
      losses: the table of the losses.
      digest: of the job and its input files; a state of another digest is not resumed.
      state: where the resume state lies.
    """

    checkpoint: str | None
    vocabulary: Path
    text: Sequence[str]
    model: str
    losses: Path
    state: str
    digest: str = ""


def run(job: LanguageModelingJob, files: Files, layout: Layout = SINGLE_DEVICE) -> None:
    """Trains all weights; writes a T5X checkpoint and the loss per target token by step.

    Every process of the job trains, and writes the parameters that its devices hold.

    Raises:
      CheckpointError, DataError: an input is missing, damaged or does not fit.
      DivergedError: the training diverged; no checkpoint is written.
    """
    settings = job.settings
    vocabulary_size = Vocabulary(files.vocabulary).size
    check_vocabulary(files.vocabulary, vocabulary_size, job.architecture)
    model = T5(job.architecture, settings.dropout_rate, jnp.dtype(settings.activations))
    devices = Devices(layout)
    announce(job, settings.steps)
    checkpoint = _initial_checkpoint(job, files, model, devices)
    trainable = traverse_util.unflatten_dict(checkpoint.params, sep="/")
    start = Start(trainable, {}, checkpoint.step, checkpoint.optimizer)

    with concurrent.futures.ThreadPoolExecutor(arrays.AT_ONCE) as pool:
        shards = list(pool.map(read_text, files.text))
    objective: Callable[..., PrefixLM | SpanCorruption] = PrefixLM
    if not adaptation_steps(job.checkpoint):
        objective = functools.partial(SpanCorruption, vocabulary_size=vocabulary_size)
    stream = objective(
        shards,
        inputs_length=settings.inputs_length,
        batch_size=settings.batch_size,
        seed=job.seed,
        vocab_size=job.architecture.vocab_size,
    )
    loss = loss_function(model, settings.z_loss, ModelTuning.for_inference)
    state = State(files.state, f"{job.model_dump_json()} {files.digest}")
    result = train(
        Step(loss, ModelTuning.shared, settings.loss_normalizing_factor),
        initial_state(start, [settings.optimizer], devices),
        start.frozen,
        batches(stream, settings.steps, job.architecture, devices),
        devices.keys([job.seed]),
        Schedule(
            settings.steps,
            max(1, settings.steps // REPORTS),
            settings.save_every,
            first=job.first_step,
        ),
        state,
        peak_flops=devices.peak_flops,
    )
    if stops := [row["step"] for row in result.rows if row["metric"] == "diverged"]:
        raise DivergedError(
            f"The training of {job.size} {job.checkpoint} diverged at step "
            f"{job.first_step + stops[0] + 1}: its loss or update is not finite; lower "
            "`optimizer.learning_rate`, or compute with `activations: float32`."
        )
    trained = Checkpoint(
        checkpoint.step + settings.steps,
        _remove_run_axis(result.trainable, devices),
        accumulators(jax.tree.map(lambda leaf: to_host(leaf)[0], result.optimizer)),
    )
    write(files.model, trained)
    if multihost.is_primary():
        losses = pd.DataFrame(result.rows).rename(columns={"value": "loss"})
        losses["step"] += job.first_step
        columns = ["step", "loss", "wall_seconds", "accelerator_seconds"]
        with atomic_write(files.losses) as partial:
            losses[columns].to_csv(partial, index=False)
    state.delete()


def batches(
    stream: PrefixLM | SpanCorruption,
    steps: int,
    architecture: ModelConfig,
    devices: Devices,
) -> Callable[[int], StepBatch]:
    """A function from one of `steps` steps to its micro-batches.

    A process reads the rows that its devices need.
    """
    longest = (stream.inputs_length, stream.targets_length)
    flops = step_flops(architecture, "weights")
    sampled_steps = range(min(steps, 1 + SAMPLED_ROWS // stream.batch_size))
    shapes = Shapes.fitting(
        [stream.lengths(step) for step in sampled_steps],
        number=steps,
        longest=longest,
        budget=devices.token_budget(architecture.d_model),
        devices=devices.data_axis,
        multiple=devices.multiple,
        launch=devices.launch_flops / flops(1, 0),
        compilation=devices.compilation(flops(1, 0)),
    )

    def batch(step: int) -> StepBatch:
        lengths = stream.lengths(step)
        cuts = list(shapes.cut(*lengths))
        local = [cut.rows[devices.local_rows(len(cut.rows))] for cut in cuts]
        needed = np.concatenate(local)
        inputs, targets = stream.batch(step, needed[needed >= 0])
        edges = np.cumsum([np.count_nonzero(rows >= 0) for rows in local])[:-1]
        parts = zip(np.split(inputs, edges), np.split(targets, edges), strict=True)
        rows = list(map(micro_batch, parts, local, cuts))
        return StepBatch(rows, work(shapes, cuts, *lengths, flops))

    def micro_batch(part: tuple[np.ndarray, np.ndarray], places: np.ndarray, cut: Cut) -> Rows:
        def fitted(ids: np.ndarray, length: int) -> np.ndarray:
            """The ids cut or padded to this length, and empty rows after them."""
            ids = ids[:, :length]
            return np.pad(ids, ((0, len(places) - len(ids)), (0, length - ids.shape[1])))

        inputs, targets = part
        rows = Rows(
            fitted(inputs, cut.inputs_length),
            fitted(targets, cut.targets_length),
            np.zeros(len(places), np.int32),
            places.astype(np.int32),
        )
        return devices.shard_rows(rows, len(cut.rows))

    return batch


def _initial_checkpoint(
    job: LanguageModelingJob, files: Files, model: T5, devices: Devices
) -> Checkpoint:
    """The checkpoint to continue, or a random initialisation at step 0; leading axis 1."""
    architecture = job.architecture
    if files.checkpoint is not None:
        return load_model(files.checkpoint, architecture, devices, with_optimizer=True, runs=1)

    def init(seed: jax.Array) -> dict[str, jax.Array]:
        tokens = jnp.ones((1, 2), jnp.int32)
        params = model.init(jax.random.key(seed), tokens, tokens)["params"]
        return {name: leaf[None] for name, leaf in _flat(params).items()}

    shardings = {
        name: devices.parameter(name, shape, runs=True)
        for name, shape in parameter_shapes(architecture).items()
    }
    return Checkpoint(0, jax.jit(init, out_shardings=shardings)(np.int32(job.seed)), {})


def _remove_run_axis(trainable: Any, devices: Devices) -> dict[str, jax.Array]:
    """The parameters of the only run by T5X's flat names; their sharding stays."""
    flat = _flat(trainable)
    shardings = {name: devices.parameter(name, leaf.shape[1:]) for name, leaf in flat.items()}
    take = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf[0], tree), out_shardings=shardings)
    return take(flat)


def _flat(params: Any) -> dict[str, jax.Array]:
    return traverse_util.flatten_dict(params, sep="/")
