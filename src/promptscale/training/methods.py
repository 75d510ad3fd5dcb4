"""What each method differentiates: a prompt on a frozen model, or the model itself.

Both are one function (trainable, frozen, batch, key) -> (loss, target tokens), so that a single
training step serves prompt tuning, model tuning, pre-training and LM adaptation.
Letters: B batch, P prompt length, S input positions, T target positions, D d_model.
"""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from promptscale.data.batches import Batch
from promptscale.inference import Params, encode_inputs
from promptscale.model import T5
from promptscale.training.loss import cross_entropy

Loss = tuple[Float[Array, ""], Float[Array, ""]]
LossFunction = Callable[[Any, Any, Batch, PRNGKeyArray], Loss]


def prompt_loss(model: T5, z_loss: float) -> LossFunction:
    """Loss of one prompt [P, D]; the model's parameters are outside the differentiated argument."""

    def loss(prompt: Float[Array, "P D"], params: Params, batch: Batch, key: PRNGKeyArray) -> Loss:
        return _loss(model, params, prompt, batch, key, z_loss)

    return loss


def model_loss(model: T5, z_loss: float) -> LossFunction:
    """Loss of the model's own parameters; nothing is frozen (pass an empty mapping)."""

    def loss(params: Params, _frozen: Params, batch: Batch, key: PRNGKeyArray) -> Loss:
        return _loss(model, params, None, batch, key, z_loss)

    return loss


def _loss(
    model: T5,
    params: Params,
    prompt: Float[Array, "P D"] | None,
    batch: Batch,
    key: PRNGKeyArray,
    z_loss: float,
) -> Loss:
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
