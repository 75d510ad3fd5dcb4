"""promptscale's training steps and decoding: the only file that calls them for the benchmarks."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from benchmarks.cases import initial_prompt
from promptscale.checkpoints.sharded import load_model
from promptscale.config.settings import Optimizer
from promptscale.config.sizes import ModelConfig
from promptscale.data.batches import Batch, by_length, pad
from promptscale.data.prepared import Ragged
from promptscale.distributed.mesh import Devices
from promptscale.inference import DECODED_POSITIONS, generator
from promptscale.model import T5, parameter_shapes
from promptscale.training.methods import Method, ModelTuning, PromptTuning, Start, loss_function
from promptscale.training.step import CompiledStep, initial_state, make_step


def prepare(case: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """The work of a case, see `benchmarks.cases.Case`."""
    if case["mode"] == "matmul":
        return matmul(case)
    architecture = ModelConfig(**case["architecture"])
    model = T5(architecture, 0.0, jnp.dtype(case["dtype"]))
    if case["mode"] == "decode":
        return decoding(case, model, parameters(case, architecture))
    return training(case, model, architecture)


def parameters(
    case: dict[str, Any], architecture: ModelConfig, runs: int | None = None
) -> dict[str, Any]:
    """The model's parameters, from the case's checkpoint or at random; `runs`: copies of them."""
    if case["weights"]:
        loaded = load_model(
            case["weights"], architecture, Devices(), activations=case["dtype"], runs=runs
        )
        return traverse_util.unflatten_dict(loaded.params, sep="/")

    # Compiled once for each shape: a single program of all arrays takes minutes to compile.
    draw = jax.jit(jax.random.normal, static_argnums=(1, 2))

    def array(index: int, name: str, sides: tuple[int, ...]) -> jax.Array:
        dtype = jnp.dtype("float32" if "logits_dense" in name else case["dtype"])
        values = draw(jax.random.key(index), sides, dtype) * jnp.asarray(0.05, dtype)
        return values if runs is None else jnp.stack([values] * runs)

    shapes = sorted(parameter_shapes(architecture).items())
    flat = {name: array(index, name, sides) for index, (name, sides) in enumerate(shapes)}
    return traverse_util.unflatten_dict(flat, sep="/")


def training(
    case: dict[str, Any], model: T5, architecture: ModelConfig
) -> Callable[[], dict[str, Any]]:
    """Steps of all runs on the case's batches, one after another."""
    devices, runs = Devices(), len(case["batches"][0])
    method: type[Method]
    if case["mode"] == "full":
        start = Start(parameters(case, architecture, runs), {}, 0)
        method, optimizer = ModelTuning, Optimizer(learning_rate=0.001)
    else:
        length, width = case["prompt_length"], architecture.d_model
        prompts = np.stack([initial_prompt(run, length, width) for run in range(runs)])
        start = Start(devices.replicate(prompts), parameters(case, architecture), 0)
        method, optimizer = PromptTuning, Optimizer(learning_rate=0.3)
    states = [initial_state(start, [optimizer] * runs, devices)]
    step = CompiledStep(make_step(loss_function(model, 0.0, method.for_inference)))
    keys = devices.keys(list(range(runs)))
    frozen = start.frozen
    batches = list(map(padded, case["batches"]))
    prompt_length = 0 if case["mode"] == "full" else case["prompt_length"]
    positions = sum(
        batch.inputs[..., 0].size
        * (prompt_length + batch.inputs.shape[-1] + batch.targets.shape[-1])
        for batch in batches
    )

    def repeat() -> dict[str, Any]:
        sums = []
        for number, batch in enumerate(batches):
            states[0] = step(states[0], frozen, batch, keys, np.int32(number))
            # Copies, as the next step takes the state's memory.
            sums.append((states[0].loss + 0.0, states[0].tokens + 0.0))
        jax.block_until_ready(states[0])
        totals = np.array(jax.device_get(sums))  # [steps, 2, N], summed since the first step
        before = np.concatenate([np.zeros_like(totals[:1]), totals[:-1]])
        losses, tokens = np.moveaxis(totals - before, 1, 0)
        states[0] = states[0]._replace(
            loss=jnp.zeros_like(states[0].loss), tokens=jnp.zeros_like(states[0].tokens)
        )
        return {"losses": (losses / tokens)[:, 0].tolist(), "positions": positions, **memory()}

    return repeat


def padded(batch: list[dict[str, list[list[int]]]]) -> Batch:
    """The examples of all runs, padded to the longest of the batch in steps of 8."""

    def array(name: str, multiple: int) -> jax.Array:
        longest = max(len(sequence) for run in batch for sequence in run[name])
        length = -(-longest // multiple) * multiple
        return jnp.asarray(
            np.stack([pad([np.array(ids[:-1]) for ids in run[name]], length) for run in batch])
        )

    return Batch(array("inputs", 8), array("targets", 1))


def decoding(
    case: dict[str, Any], model: T5, params: dict[str, Any]
) -> Callable[[], dict[str, Any]]:
    """Greedy decoding of all examples, as the evaluation does it."""
    prompt = jnp.asarray(initial_prompt(0, case["prompt_length"], model.config.d_model))
    sequences = case["batches"][0][0]["inputs"]
    inputs = Ragged.pack(sequence[:-1] for sequence in sequences)
    cut: Iterator[Any] = by_length(
        inputs, min(128, len(inputs)), DECODED_POSITIONS, before=case["prompt_length"]
    )
    batches = [jnp.asarray(batch.inputs) for batch in cut]
    generate = generator(model, "greedy", case["decode_length"])

    def repeat() -> dict[str, Any]:
        ids = [generate(params, prompt, batch, case["decode_length"]) for batch in batches]
        # Empty rows fill the last batch; what is decoded for them does not count.
        rows = [
            int((row > 0).sum())
            for batch, decoded in zip(batches, jax.device_get(ids), strict=True)
            for inputs, row in zip(np.asarray(batch), decoded, strict=True)
            if inputs[0] > 0
        ]
        return {"tokens": sum(rows), **memory()}

    return repeat


def matmul(case: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Products of two matrices of the case's shape."""
    rows, inner, columns = case["matmul"]
    left, right = (
        jax.random.normal(jax.random.key(0), shape, jnp.dtype(case["dtype"]))
        for shape in ((rows, inner), (inner, columns))
    )
    product = jax.jit(jnp.matmul)

    def repeat() -> dict[str, Any]:
        jax.block_until_ready([product(left, right) for _ in range(case["repeats"])])
        return {}

    return repeat


def memory() -> dict[str, int]:
    """The most memory that arrays took on the accelerator; nothing on a CPU."""
    statistics = jax.devices()[0].memory_stats() or {}
    peak = statistics.get("peak_bytes_in_use")
    return {} if peak is None else {"peak_bytes": peak}


def versions() -> dict[str, str]:
    """The versions that compute, and the device."""
    return {"jax": jax.__version__, "device": jax.devices()[0].device_kind}
