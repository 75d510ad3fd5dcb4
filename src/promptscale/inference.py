"""From inputs and a prompt to generated ids: what evaluation, serving and prompt design share.

Letters: B batch, P prompt length, S input positions, T target positions, D d_model.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from promptscale.model import T5, DropoutKeys, beam_search, greedy_search
from promptscale.prompts import prepend

Params = dict[str, Any]

# The largest number of encoder positions that pass together on each part of the `data` axis. The
# decoder has keys and values of all layers for each: 0.4 MB in T5 1.1 XXL, 13 GB in all.
DECODED_POSITIONS = 2**15


def encode_inputs(
    model: T5,
    params: Params,
    prompt: Float[Array, "*B P D"] | None,
    inputs: Int[Array, "B S"],
    dropout_keys: DropoutKeys = None,
) -> tuple[Float[Array, "B PS D"], Array]:
    """Encodes the inputs, after the prompt if any; also returns the mask [B, PS].

    A prompt [P, D] precedes every example, prompts [B, P, D] an example each: a batch may mix tasks
    (Figure 2). Dropout acts where there are keys.
    """
    variables = {"params": params}
    embedded, mask = model.apply(variables, inputs, method="embed"), inputs > 0
    if prompt is not None:
        tiled = jnp.broadcast_to(prompt, (inputs.shape[0], *prompt.shape[-2:]))
        embedded, mask = prepend(tiled, embedded, mask)
    encoded = model.apply(variables, embedded, mask, dropout_keys, method="encode")
    return encoded, mask


def generator(
    model: T5, decoding: str, length: int, place: jax.sharding.Sharding | None = None
) -> Callable[..., Int[Array, "B T"]]:
    """A compiled function (params, prompt or None, inputs [B, S], limit) -> ids [B, length].

    It generates at most `limit` tokens; the other ids are 0. The prompt is as in `encode_inputs`.
    `place` is the sharding of the ids.
    """
    search = {"beam": beam_search, "greedy": greedy_search}[decoding]

    @functools.partial(jax.jit, out_shardings=place)
    def generate(
        params: Params,
        prompt: Float[Array, "*B P D"] | None,
        inputs: Int[Array, "B S"],
        limit: int | Int[Array, ""],
    ) -> Int[Array, "B T"]:
        encoded, mask = encode_inputs(model, params, prompt, inputs)
        return search(model, params, encoded, mask, length, limit)

    return generate
