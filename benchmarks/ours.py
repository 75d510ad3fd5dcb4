"""promptscale's training steps and decoding: the only file that calls them for the benchmarks."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from benchmarks.cases import initial_prompt
from promptscale.checkpoints.sharded import load_model
from promptscale.config.settings import Optimizer
from promptscale.config.sizes import ModelConfig
from promptscale.data.microbatches import StepBatch, Work, step_batch
from promptscale.data.shapes import Shapes
from promptscale.distributed.environment import configure_xla
from promptscale.distributed.mesh import Devices, Layout
from promptscale.inference import Requests, generator, input_lengths, request_shapes
from promptscale.model import T5, parameter_shapes
from promptscale.planning.flops import step_flops
from promptscale.training.methods import Method, ModelTuning, PromptTuning, Start, loss_function
from promptscale.training.step import Step, initial_state

MANY = 10**9  # rows of a training for which compilation costs nothing


def prepare(case: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """The work of a case, see `benchmarks.cases.Case`."""
    configure_xla()
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
    devices, runs = Devices(Layout(token_budget=case["token_budget"])), len(case["batches"][0])
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
    step = Step(loss_function(model, 0.0, method.for_inference), method.shared)
    keys = devices.keys(list(range(runs)))
    frozen = start.frozen
    batches = list(micro_batches(case, architecture, devices, method))
    work = functools.reduce(Work.plus, (batch.work for batch in batches))

    def repeat() -> dict[str, Any]:
        sums = []
        for number, batch in enumerate(batches):
            states[0] = step(states[0], frozen, batch.rows, keys, number)
            # Copies, as the next step takes the state's memory.
            sums.append((states[0].loss + 0.0, states[0].tokens + 0.0))
        jax.block_until_ready(states[0])
        totals = np.array(jax.device_get(sums))  # [steps, 2, N], summed since the first step
        before = np.concatenate([np.zeros_like(totals[:1]), totals[:-1]])
        losses, tokens = np.moveaxis(totals - before, 1, 0)
        states[0] = states[0]._replace(
            loss=jnp.zeros_like(states[0].loss), tokens=jnp.zeros_like(states[0].tokens)
        )
        losses = (losses / tokens)[:, 0].tolist()
        return {"losses": losses, "positions": work.computed, **memory()}

    return repeat


def micro_batches(
    case: dict[str, Any], architecture: ModelConfig, devices: Devices, method: type[Method]
) -> Iterator[StepBatch]:
    """The micro-batches of each step, as a long training cuts them."""
    steps = [
        [
            {side: [np.array(ids[:-1]) for ids in run[side]] for side in ("inputs", "targets")}
            for run in batch
        ]
        for batch in case["batches"]
    ]
    runs = range(len(steps[0]))
    groups = [runs] if method.shared else [range(run, run + 1) for run in runs]

    def lengths(batch: Sequence[Any], group: Sequence[int], side: str) -> np.ndarray:
        return np.array([len(ids) + 1 for run in group for ids in batch[run][side]])

    pools = [
        (lengths(batch, group, "inputs"), lengths(batch, group, "targets"))
        for batch in steps
        for group in groups
    ]
    prompted = method is PromptTuning
    flops = step_flops(architecture, "inputs" if prompted else "weights")
    shapes = Shapes.fitting(
        pools,
        number=MANY,
        before=case["prompt_length"] if prompted else 0,
        budget=devices.token_budget(architecture.d_model),
        devices=devices.data_axis,
        multiple=devices.multiple,
        launch=devices.launch_flops / flops(1, 0),
        compilation=devices.compilation(flops(1, 0)),
    )
    for batch in steps:
        parts = []
        for group in groups:
            sizes = [len(batch[run]["inputs"]) for run in group]
            inputs, targets = (
                [ids for run in group for ids in batch[run][side]] for side in ("inputs", "targets")
            )
            run_of_row = np.repeat(np.asarray(group, np.int32), sizes)
            place = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
            parts.append(step_batch(shapes, devices, inputs, targets, run_of_row, place, flops))
        work = functools.reduce(Work.plus, (part.work for part in parts))
        yield StepBatch([rows for part in parts for rows in part.rows], work)


def decoding(
    case: dict[str, Any], model: T5, params: dict[str, Any]
) -> Callable[[], dict[str, Any]]:
    """Greedy decoding of all examples, as the evaluation does it."""
    prompts = jnp.asarray(initial_prompt(0, case["prompt_length"], model.config.d_model))[None]
    inputs = [np.array(ids[:-1]) for ids in case["batches"][0][0]["inputs"]]
    size, limit = len(inputs), case["decode_length"]
    devices = Devices()
    shapes = request_shapes(
        input_lengths(inputs), devices, model.config, case["prompt_length"], times=MANY
    )
    requests = Requests(inputs, np.zeros(size, int), np.full(size, limit), devices, shapes)
    generate = generator(model, "greedy", limit)

    def repeat() -> dict[str, Any]:
        answers = requests.answer(generate, params, prompts)
        return {"tokens": int((answers > 0).sum()), **memory()}

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
