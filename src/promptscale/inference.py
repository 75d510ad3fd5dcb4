"""From inputs and a prompt to generated ids: what evaluation, serving and prompt design share.

Letters: N runs, M inputs, R rows of a micro-batch, P prompt length, S input positions, T target
positions, D d_model.
"""

import functools
import logging
from collections.abc import Callable, Sequence, Set
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from promptscale.config.sizes import ModelConfig
from promptscale.data.microbatches import pad_rows
from promptscale.data.shapes import Shape, Shapes
from promptscale.distributed.mesh import Devices
from promptscale.model import T5, DropoutKeys, beam_search, greedy_search
from promptscale.planning.flops import step_flops
from promptscale.prompts import prepend
from promptscale.storage.events import Pace, event

log = logging.getLogger(__name__)

Params = dict[str, Any]
Generate = Callable[..., Int[Array, "R T"]]


class Requests:
    """Inputs to answer, each by a run, cut into micro-batches that lie on the devices.

    Inputs are sorted by length and are never cut.
    """

    def __init__(
        self,
        inputs: Sequence[np.ndarray],
        runs: Int[np.ndarray, " M"],
        limits: Int[np.ndarray, " M"],
        devices: Devices,
        shapes: Shapes,
    ) -> None:
        """Takes for each input its run, and the number of tokens that its answer may have.

        `shapes` are those of the micro-batches (`request_shapes`).
        """
        lengths = input_lengths(inputs)
        self._batches = []
        for cut in shapes.cut(lengths, np.zeros_like(lengths)):
            rows = cut.rows[devices.local_rows(len(cut.rows))]
            arrays = (
                runs[rows].astype(np.int32),
                pad_rows(inputs, rows, cut.inputs_length),
                np.where(rows < 0, 0, limits[rows]).astype(np.int32),
            )
            self._batches.append((cut.rows, devices.shard_rows(arrays, len(cut.rows))))
        self._size = len(inputs)

    def answer(
        self, generate: Generate, params: Params, prompts: Float[Array, "N P D"] | None
    ) -> Int[np.ndarray, "M L"]:
        """The generated ids of each input, in order; `prompts` are the runs'."""
        ids = [generate(params, prompts, *batch) for _, batch in self._batches]
        rows = np.concatenate([rows for rows, _ in self._batches])
        pace = Pace()
        parts: list[np.ndarray] = []
        for number, array in enumerate(ids, 1):
            parts.append(np.asarray(array))
            if pace.due():
                log.info(
                    "answered %d of %d micro-batches", number, len(ids),
                    extra=event("answering", done=number, of=len(ids)),
                )  # fmt: skip
        generated = np.concatenate(parts)
        answers = np.empty((self._size, generated.shape[1]), generated.dtype)
        answers[rows[rows >= 0]] = generated[rows >= 0]
        return answers


def input_lengths(inputs: Sequence[np.ndarray]) -> Int[np.ndarray, " M"]:
    """The number of tokens of each input, with the EOS that follows it."""
    return np.array([len(ids) + 1 for ids in inputs])


def request_shapes(
    lengths: Int[np.ndarray, " M"],
    devices: Devices,
    architecture: ModelConfig,
    prompt_length: int = 0,
    times: int = 1,
    longest: int = 0,
    compiled: Set[Shape] = frozenset(),
) -> Shapes:
    """The shapes of micro-batches of requests that are answered `times` times.

    `lengths` are the inputs' (`input_lengths`). The longest shape has an input of `longest`
    positions, by default those of the longest input. For `compiled` see `Shapes.fitting`.
    """
    flops = step_flops(architecture, "nothing")
    return Shapes.fitting(
        [(lengths, np.zeros_like(lengths))],
        number=times,
        longest=(longest or int(lengths.max()), 0),
        before=prompt_length,
        budget=devices.decoded_positions,
        devices=devices.data_axis,
        multiple=devices.multiple,
        # Every token that a micro-batch generates reads all weights.
        launch=devices.decoded_positions,
        compilation=devices.compilation(flops(1, 0)),
        compiled=compiled,
    )


def encode_inputs(
    model: T5,
    params: Params,
    prompt: Float[Array, "*R P D"] | None,
    inputs: Int[Array, "R S"],
    dropout_keys: DropoutKeys = None,
) -> tuple[Float[Array, "R PS D"], Array]:
    """Encodes the inputs, after the prompt if any; also returns the mask [R, PS].

    A prompt [P, D] precedes every row, prompts [R, P, D] a row each: a micro-batch may mix runs,
    and so tasks (Figure 2). Dropout acts where there are keys.
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
) -> Generate:
    """A compiled function (params, prompts or None, runs, inputs, limits) -> ids [R, length].

    Each row has the prompt of its run, out of the prompts [N, P, D]. It gets at most as many tokens
    as its limit; the other ids are 0. `place` is the sharding of the ids.
    """
    search = {"beam": beam_search, "greedy": greedy_search}[decoding]
    compiled: set[Any] = set()  # the shapes of prompts and inputs for which there is a program

    @functools.partial(jax.jit, out_shardings=place)
    def program(
        params: Params,
        prompts: Float[Array, "N P D"] | None,
        run: Int[Array, " R"],
        inputs: Int[Array, "R S"],
        limits: Int[Array, " R"],
    ) -> Int[Array, "R T"]:
        prompt = None if prompts is None else prompts[run]
        encoded, mask = encode_inputs(model, params, prompt, inputs)
        return search(model, params, encoded, mask, length, limits)

    def generate(params: Any, prompts: Any, run: Any, inputs: Any, limits: Any) -> Array:
        shapes = jax.tree.map(jnp.shape, (prompts, inputs))
        if shapes not in compiled:
            compiled.add(shapes)
            name = f"answers to {inputs.shape} inputs"
            log.info("compiling: %s", name, extra=event("compiling", program=name))
        return program(params, prompts, run, inputs, limits)

    return generate
