"""Decoding with a key-value cache: greedy search, and T5X's beam search with a single beam.

`beam_search` follows t5x/decoding.py at `num_decodes=1`. A live hypothesis is extended greedily
among tokens other than EOS. At each step the hypothesis that ends there is scored by its
log-probability over ((5 + length) / 6) ** alpha, and the best such hypothesis is the result, which
can differ from greedy search. The authors evaluate with it.
Letters: B batch, S source positions, D d_model, L decode length.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from promptscale.model.network import T5, DecodingCache

_EOS = 1
_UNREACHED = -1.0e7


def greedy_search(
    model: T5,
    params: dict,
    encoded: Float[Array, "B S D"],
    mask: Bool[Array, "B S"],
    length: int,
    limit: int | Int[Array, "*B"] | None = None,
) -> Int[Array, "B L"]:
    """The most likely token at each step; 0 after the first EOS.

    At most min(length, limit) tokens are generated. `limit` may be traced, and each row may have a
    limit: rows of data sets with different limits pass together.
    """
    end = length if limit is None else jnp.minimum(limit, length)
    step = functools.partial(model.apply, {"params": params}, method="decode_step")

    class State(NamedTuple):
        index: Int[Array, ""]
        tokens: Int[Array, "B L+1"]
        finished: Bool[Array, " B"]
        cache: DecodingCache

    def unfinished(state: State) -> Bool[Array, ""]:
        return ~jnp.all(state.finished)

    def extend(state: State) -> State:
        logits, cache = step(state.tokens[:, state.index], state.cache, state.index)
        chosen = jnp.where(state.finished, 0, jnp.argmax(logits, axis=-1).astype(jnp.int32))
        tokens = state.tokens.at[:, state.index + 1].set(chosen)
        finished = state.finished | (chosen == _EOS) | (state.index + 1 >= end)
        return State(state.index + 1, tokens, finished, cache)

    batch = encoded.shape[0]
    start = State(
        jnp.int32(0),
        jnp.zeros((batch, length + 1), jnp.int32),
        jnp.broadcast_to(end <= 0, batch),
        model.apply({"params": params}, encoded, mask, length, method="start_decoding"),
    )
    return jax.lax.while_loop(unfinished, extend, start).tokens[:, 1:]


def beam_search(
    model: T5,
    params: dict,
    encoded: Float[Array, "B S D"],
    mask: Bool[Array, "B S"],
    length: int,
    limit: int | Int[Array, "*B"] | None = None,
    alpha: float = 0.6,
) -> Int[Array, "B L"]:
    """T5X's default decoding: a single beam with the brevity penalty `alpha`.

    At most min(length, limit) tokens are generated; `limit` is as in `greedy_search`. Returns the
    best finished hypothesis of each row, or the live hypothesis if none finished.
    """
    last = length if limit is None else jnp.minimum(limit, length)
    step = functools.partial(model.apply, {"params": params}, method="decode_step")

    class State(NamedTuple):
        index: Int[Array, ""]
        live: Int[Array, "B L+1"]
        live_score: Float[Array, " B"]
        finished: Int[Array, "B L+1"]
        finished_score: Float[Array, " B"]
        has_finished: Bool[Array, " B"]
        cache: DecodingCache

    def penalty(position: int | Array) -> Float[Array, "*B"]:
        return ((5.0 + jnp.asarray(position, jnp.float32)) / 6.0) ** alpha

    def improvable(state: State) -> Bool[Array, " B"]:
        # An upper bound on the score that the live hypothesis can reach.
        bound = state.live_score / penalty(last + 1)
        return (state.index < last) & ~(state.finished_score > bound)

    def extend(state: State) -> State:
        going = improvable(state)
        logits, cache = step(state.live[:, state.index], state.cache, state.index)
        scores = jax.nn.log_softmax(logits) + state.live_score[:, None]
        top, tokens = jax.lax.top_k(scores, 2)
        tokens = tokens.astype(jnp.int32)
        ends = tokens == _EOS
        # The live hypothesis takes the better of the two candidates that is not EOS.
        column = ends[:, 0].astype(jnp.int32)[:, None]
        live_token = jnp.take_along_axis(tokens, column, axis=1)[:, 0]
        live_score = jnp.take_along_axis(top, column, axis=1)[:, 0]
        ending_score = jnp.max(jnp.where(ends, top, _UNREACHED), axis=1) / penalty(state.index + 1)
        improved = ~state.has_finished | (ending_score > state.finished_score)
        better = jnp.any(ends, axis=1) & improved & going
        ended = state.live.at[:, state.index + 1].set(_EOS)
        return State(
            index=state.index + 1,
            live=state.live.at[:, state.index + 1].set(jnp.where(going, live_token, 0)),
            live_score=jnp.where(going, live_score, state.live_score),
            finished=jnp.where(better[:, None], ended, state.finished),
            finished_score=jnp.where(better, ending_score, state.finished_score),
            has_finished=state.has_finished | better,
            cache=cache,
        )

    batch = encoded.shape[0]
    empty = jnp.zeros((batch, length + 1), jnp.int32)
    start = State(
        index=jnp.int32(0),
        live=empty,
        live_score=jnp.zeros(batch),
        finished=empty,
        finished_score=jnp.full(batch, _UNREACHED),
        has_finished=jnp.zeros(batch, bool),
        cache=model.apply({"params": params}, encoded, mask, length, method="start_decoding"),
    )
    end = jax.lax.while_loop(lambda state: jnp.any(improvable(state)), extend, start)
    return jnp.where(end.has_finished[:, None], end.finished, end.live)[:, 1:]
