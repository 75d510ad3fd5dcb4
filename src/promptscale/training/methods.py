"""Adaptation methods: what a job trains, on which loss, and what it leaves.

A method has two halves. Its job (`promptscale.config.jobs`) says what is asked for and counts
parameters and operations without JAX; the class here computes. `METHODS` joins them by the job's
`method`. Letters: N runs, R rows of a micro-batch, P prompt length, S input positions, T target
positions, D d_model.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, Key

from promptscale import prompts
from promptscale.checkpoints import t5x
from promptscale.checkpoints.read import read_embedding
from promptscale.checkpoints.sharded import load_model
from promptscale.data.microbatches import Rows
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.inference import Params, encode_inputs
from promptscale.model import T5
from promptscale.training.loss import cross_entropy

Loss = tuple[Float[Array, " R"], Float[Array, " R"]]  # summed over target tokens, and their number
LossFunction = Callable[[Any, Any, Rows, Key[Array, " R"]], Loss]  # a dropout key per row

# Folded into a run's key in place of a step's number, which is never so large.
_INITIALIZATION = 2**32 - 1


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


class Method(abc.ABC):
    """An adaptation method, made for a job.

    A method says what is trained (`start`), how it joins the model (`for_inference`) and what is
    left of it (`save`). Its loss follows from these. Where the runs share the model (`shared`),
    rows of several runs pass together, and `trainable` has a leading axis N in `for_inference` and
    `loss`. Elsewhere a micro-batch has rows of a single run, and `trainable` is that run's.
    """

    shared: ClassVar[bool] = False

    def __init__(
        self, job: Any, model: T5, vocabulary: Vocabulary, initialization: Path | None = None
    ) -> None:
        """Takes the job, its model, the tokens, and the file that prompts may start from."""
        self.job, self.vocabulary, self.initialization = job, vocabulary, initialization
        self.loss = loss_function(model, job.settings.z_loss, self.for_inference)

    @abc.abstractmethod
    def start(self, location: str, devices: Devices) -> Start:
        """Reads the checkpoint at `location` and initialises what the job's runs train."""

    @staticmethod
    @abc.abstractmethod
    def for_inference(trainable: Any, frozen: Any) -> tuple[Params, Any]:
        """The model's parameters, and the prompts [N, P, D] or None."""

    @abc.abstractmethod
    def save(self, trainable: Any, path: Path) -> None:
        """Writes what a run leaves besides its predictions; `path` has no suffix."""


class PromptTuning(Method):
    """A prompt [P, D] per run before the embedded inputs of a frozen model (section 2)."""

    shared = True

    def start(self, location: str, devices: Devices) -> Start:
        """Initialises the prompts from the checkpoint's embedding (section 3.2)."""
        job, settings = self.job, self.job.settings
        checkpoint = load_model(
            location, job.architecture, devices, activations=settings.activations
        )
        # Prompts start from pieces: not from sentinels, nor from rows that belong to no token.
        embedding = read_embedding(location)[: self.vocabulary.num_pieces]
        initial = [
            prompts.initialize(
                settings.initialization,
                jax.random.fold_in(jax.random.key(run.seed), _INITIALIZATION),
                settings.prompt_length,
                embedding,
                job.task(run.task).class_label_words,
                self.vocabulary.encode,
                self.initialization,
            )
            for run in job.runs
        ]
        frozen = traverse_util.unflatten_dict(checkpoint.params, sep="/")
        return Start(devices.replicate(np.stack(initial)), frozen, checkpoint.step)

    @staticmethod
    def for_inference(trainable: Any, frozen: Any) -> tuple[Params, Any]:
        """The frozen model's parameters and the prompts."""
        return frozen, trainable

    def save(self, trainable: Any, path: Path) -> None:
        """Writes the prompt to PATH.npy."""
        prompts.save(path.with_name(f"{path.name}.npy"), np.asarray(trainable))


class ModelTuning(Method):
    """All weights of the model, a copy of the checkpoint per run (section 3.1)."""

    def start(self, location: str, devices: Devices) -> Start:
        """Copies the checkpoint's parameters N times."""
        checkpoint = load_model(
            location,
            self.job.architecture,
            devices,
            with_optimizer=self.job.settings.restore_accumulators,
            runs=len(self.job.runs),
        )
        trainable = traverse_util.unflatten_dict(checkpoint.params, sep="/")
        return Start(trainable, {}, checkpoint.step, checkpoint.optimizer)

    @staticmethod
    def for_inference(trainable: Any, frozen: Any) -> tuple[Params, Any]:
        """The tuned parameters, without a prompt."""
        return trainable, None

    def save(self, trainable: Any, path: Path) -> None:
        """Writes the tuned model to the folder PATH, as a T5X checkpoint."""
        t5x.write(path, t5x.Checkpoint(0, traverse_util.flatten_dict(trainable, sep="/"), {}))


METHODS: dict[str, type[Method]] = {
    "prompt_tuning": PromptTuning,
    "model_tuning": ModelTuning,
    "model_tuning_multitask": ModelTuning,
}


def loss_function(
    model: T5, z_loss: float, for_inference: Callable[[Any, Any], tuple[Params, Any]]
) -> LossFunction:
    """The loss of each row of a micro-batch, with dropout."""

    def loss(trainable: Any, frozen: Any, rows: Rows, keys: Key[Array, " R"]) -> Loss:
        params, prompts = for_inference(trainable, frozen)
        prompt = None if prompts is None else prompts[rows.run]
        encoded, mask = encode_inputs(model, params, prompt, rows.inputs, keys)
        decoder_inputs = (encoded, mask, rows.targets, keys)
        logits = model.apply({"params": params}, *decoder_inputs, method="decode")
        return cross_entropy(logits, rows.targets, z_loss)

    return loss
