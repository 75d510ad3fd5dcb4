"""Adaptation methods: what a job trains, on which loss, and what it leaves.

A method has two halves. Its job (`promptscale.config.jobs`) says what is asked for and counts
parameters and operations without JAX; the class here computes. `METHODS` joins them by the job's
`method`. Letters: B batch, N runs, P prompt length, S input positions, T target positions,
D d_model.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from promptscale import prompts
from promptscale.checkpoints.read import read_embedding
from promptscale.checkpoints.sharded import load_model
from promptscale.config.jobs import ModelTuningJob, MultitaskTuningJob, PromptTuningJob
from promptscale.config.tasks import task as task_named
from promptscale.data.batches import Batch
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.inference import Params, encode_inputs
from promptscale.model import T5
from promptscale.training.loss import cross_entropy

Loss = tuple[Float[Array, ""], Float[Array, ""]]  # summed over target tokens, and their number
LossFunction = Callable[[Any, Any, Batch, PRNGKeyArray], Loss]


@dataclasses.dataclass(frozen=True)
class Start:
    """What N runs train (leading axis N) and what they leave alone, before the first step.

    `step` and `accumulators` are those of the checkpoint's optimiser; where `accumulators` is empty
    the second moments start anew.
    """

    trainable: Any
    frozen: Any
    step: int
    accumulators: Mapping[str, Mapping[str, np.ndarray]] = dataclasses.field(default_factory=dict)


@runtime_checkable
class Method(Protocol):
    """An adaptation method, made for a job from (job, model, vocabulary, initialization).

    `loss` is a function (trainable, frozen, batch, key) of a run; the training step
    differentiates it with respect to `trainable` alone.
    """

    loss: LossFunction

    def start(self, location: str, devices: Devices) -> Start:
        """Reads the checkpoint at `location` and initialises what the job's runs train."""

    def for_inference(self, trainable: Any, frozen: Any) -> tuple[Params, Any]:
        """A run's model parameters and its prompt [P, D], or None, for `inference.generator`."""

    def save(self, trainable: Any, path: Path) -> None:
        """Writes what a run leaves for later use; `path` has no suffix."""


class PromptTuning:
    """A prompt [P, D] per run before the embedded inputs of a frozen model (section 2)."""

    def __init__(
        self,
        job: PromptTuningJob,
        model: T5,
        vocabulary: Vocabulary,
        initialization: Path | None = None,
    ) -> None:
        self.loss = prompt_loss(model, job.settings.z_loss)
        self._job = job
        self._encode = vocabulary.encode
        self._file = initialization

    def start(self, location: str, devices: Devices) -> Start:
        """Initialises the prompts from the checkpoint's embedding (section 3.2)."""
        settings = self._job.settings
        checkpoint = load_model(
            location, self._job.architecture, devices, activations=settings.activations
        )
        embedding = read_embedding(location)
        initial = [
            prompts.initialize(
                settings.initialization,
                # Differs from the keys of the steps' dropout.
                jax.random.fold_in(jax.random.key(run.seed), settings.steps),
                settings.prompt_length,
                embedding,
                task_named(run.task).class_label_words,
                self._encode,
                self._file,
            )
            for run in self._job.runs
        ]
        frozen = traverse_util.unflatten_dict(checkpoint.params, sep="/")
        return Start(devices.replicate(np.stack(initial)), frozen, checkpoint.step)

    def for_inference(self, trainable: Any, frozen: Any) -> tuple[Params, Any]:
        """The frozen model's parameters and the prompt."""
        return frozen, trainable

    def save(self, trainable: Any, path: Path) -> None:
        """Writes the prompt to PATH.npy."""
        prompts.save(path.with_name(f"{path.name}.npy"), np.asarray(trainable))


class ModelTuning:
    """All weights of the model, a copy of the checkpoint per run (section 3.1)."""

    def __init__(
        self,
        job: ModelTuningJob | MultitaskTuningJob,
        model: T5,
        vocabulary: Vocabulary,
        initialization: Path | None = None,
    ) -> None:
        self.loss = model_loss(model, job.settings.z_loss)
        self._job = job

    def start(self, location: str, devices: Devices) -> Start:
        """Copies the checkpoint's parameters N times."""
        restore = self._job.settings.restore_accumulators
        checkpoint = load_model(
            location,
            self._job.architecture,
            devices,
            with_optimizer=restore,
            runs=len(self._job.runs),
        )
        trainable = traverse_util.unflatten_dict(checkpoint.params, sep="/")
        return Start(trainable, {}, checkpoint.step, checkpoint.optimizer)

    def for_inference(self, trainable: Any, frozen: Any) -> tuple[Params, Any]:
        """The tuned parameters, without a prompt."""
        return trainable, None

    def save(self, trainable: Any, path: Path) -> None:
        """Writes nothing: the predictions are what remains of a tuned model."""


METHODS: dict[str, Callable[..., Method]] = {
    "prompt_tuning": PromptTuning,
    "model_tuning": ModelTuning,
    "model_tuning_multitask": ModelTuning,
}


def prompt_loss(model: T5, z_loss: float) -> LossFunction:
    """The loss of a prompt [P, D] on a frozen model."""

    def loss(prompt: Float[Array, "P D"], params: Params, batch: Batch, key: PRNGKeyArray) -> Loss:
        return sequence_loss(model, params, prompt, batch, key, z_loss)

    return loss


def model_loss(model: T5, z_loss: float) -> LossFunction:
    """The loss of the model's parameters; `frozen` is an empty mapping."""

    def loss(params: Params, _frozen: Params, batch: Batch, key: PRNGKeyArray) -> Loss:
        return sequence_loss(model, params, None, batch, key, z_loss)

    return loss


def sequence_loss(
    model: T5,
    params: Params,
    prompt: Float[Array, "P D"] | None,
    batch: Batch,
    key: PRNGKeyArray,
    z_loss: float,
) -> Loss:
    """The loss of a batch (inputs [B, S], targets [B, T]) with dropout, summed over its tokens."""
    encoder_key, decoder_key = jax.random.split(key)
    encoded, mask = encode_inputs(model, params, prompt, batch.inputs, encoder_key)
    logits = model.apply(
        {"params": params},
        encoded,
        mask,
        batch.targets,
        False,
        method="decode",
        rngs={"dropout": decoder_key},
    )
    return cross_entropy(logits, batch.targets, z_loss)
