"""What a micro-batch of a training, or of the evaluation, of a size holds on each device:
`python -m benchmarks.memory --help`.

The real program is compiled from shapes alone: nothing of the model is allocated, and no
accelerator is needed. With `--accelerator` the compiler of that TPU or GPU does it (libtpu of
envs/tpu.lock, or JAX's CUDA plugin and nvcc of envs/gpu.lock): its plan is what it would allocate
there, and the TPU's refuses what does not fit. Otherwise devices are simulated on the CPU, whose
plan is only an estimate from above.
"""

import argparse
import functools
import importlib.util
import math
import os
import re
import time
from collections import Counter
from typing import Any
from unittest import mock

from promptscale.config.sizes import SIZES

# As the compilers name the slices of accelerators.yaml.
TPUS = {
    "v2-8": "v2:2x2", "v3-8": "v3:2x2", "v3-32": "v3:4x4", "v5litepod-1": "v5e:1x1",
    "v5litepod-8": "v5e:2x4", "v5litepod-16": "v5e:4x4", "v5p-8": "v5p:2x2x1",
    "v5p-16": "v5p:2x2x2", "v6e-1": "v6e:1x1", "v6e-8": "v6e:2x4", "v6e-16": "v6e:4x4",
}  # fmt: skip
GPUS = {"h100": (80, 3.35), "h200": (141, 4.8)}  # GB of memory, and TB/s to it
# A GPU as XLA's compiler wants it described; the numbers are NVIDIA's for Hopper.
HOPPER = """
platform_name: "CUDA"
device_description_str: "{name}"
runtime_version {{ major: 13 }}
dnn_version_info {{ major: 9 minor: 10 }}
gpu_device_info {{
  cuda_compute_capability {{ major: 9 }}
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  device_memory_size: {memory}
  memory_bandwidth: {bandwidth}
  l2_cache_size: 52428800
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
}}
"""


def main() -> None:
    """Compiles and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="xxl", choices=SIZES)
    parser.add_argument("--trains", default="prompt", choices=["prompt", "model", "nothing"])
    parser.add_argument("--accelerator", choices=[*TPUS, *GPUS], help="compile for it")
    parser.add_argument("--devices", type=int, default=16, help="simulated, without --accelerator")
    parser.add_argument("--model-axis", type=int, default=16)
    parser.add_argument("--rows", type=int, default=32, help="of a micro-batch")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--prompt-length", type=int, default=100)
    parser.add_argument("--inputs-length", type=int, default=512)
    parser.add_argument("--targets-length", type=int, default=16)
    parser.add_argument("--activations", default="bfloat16")
    arguments = parser.parse_args()
    os.environ["XLA_FLAGS"] = (
        f"--xla_force_host_platform_device_count={arguments.devices} "
        # Triton's kernels are chosen by trying them on the GPU; cuBLAS's need no trial.
        "--xla_gpu_enable_triton_gemm=false"
    )
    os.environ["JAX_PLATFORMS"] = "cpu"
    started = time.perf_counter()
    where = arguments.accelerator or f"{arguments.devices} devices"
    # The model has operations that depend on the kind of device.
    kind = "tpu" if where in TPUS else "gpu" if where in GPUS else "cpu"
    with mock.patch("jax.default_backend", lambda: kind):
        measured = measure(arguments)
    print(
        f"{arguments.trains} of {arguments.size} on {where}, model_axis {arguments.model_axis}, "
        f"{arguments.runs} run(s), {arguments.rows} rows at a time: {measured} "
        f"(compiled in {time.perf_counter() - started:.0f} s)"
    )


def devices_of(arguments: argparse.Namespace) -> list:
    """Devices that can be compiled for."""
    import jax
    from jax.experimental import topologies

    name = arguments.accelerator
    if not name:
        return jax.devices()
    needed, lock = ("libtpu", "tpu") if name in TPUS else ("jax_cuda13_plugin", "gpu")
    if importlib.util.find_spec(needed) is None:
        raise SystemExit(f"Compiling for {name} needs {needed}, as envs/{lock}.lock has it.")
    if name in TPUS:
        os.environ["TPU_SKIP_MDS_QUERY"] = "1"  # there is no TPU to ask what it is
        os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"  # nor one to be alone on
        return topologies.get_topology_desc(TPUS[name], platform="tpu").devices
    memory, bandwidth = GPUS[name]
    target = HOPPER.format(name=name, memory=memory * 10**9, bandwidth=int(bandwidth * 1e12))
    return topologies.get_topology_desc(
        "1x1x1", platform="cuda", topology="1x1x1", target_config=target
    ).devices


def measure(arguments: argparse.Namespace) -> str:
    """The memory of each device between steps, and what a step allocates besides."""
    import jax
    import jax.numpy as jnp
    from flax import traverse_util

    from promptscale.config.settings import Optimizer
    from promptscale.config.sizes import model_config
    from promptscale.data.microbatches import Rows
    from promptscale.distributed.mesh import Devices, Layout
    from promptscale.inference import generator
    from promptscale.model import T5, parameter_shapes
    from promptscale.planning.flops import forward
    from promptscale.training import optimizer
    from promptscale.training import step as training_step
    from promptscale.training.methods import ModelTuning, PromptTuning, loss_function

    architecture = model_config(arguments.size)
    devices = Devices(Layout(arguments.model_axis), devices_of(arguments))
    runs, examples = arguments.runs, arguments.rows

    def array(shape, dtype, sharding=None):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding or devices.replicated())

    place = devices.batch_sharding(examples)
    rows = Rows(
        array((examples, arguments.inputs_length), jnp.int32, place),
        array((examples, arguments.targets_length), jnp.int32, place),
        array((examples,), jnp.int32, place),
        array((examples,), jnp.int32, place),
    )
    model = T5(architecture, 0.1, jnp.dtype(arguments.activations))
    trains_prompts = arguments.trains != "model"
    copies = () if trains_prompts else (runs,)
    dtype = arguments.activations if trains_prompts else "float32"
    flat = {
        name: array(
            (*copies, *shape),
            jnp.float32 if "logits_dense" in name else jnp.dtype(dtype),
            devices.parameter(name, shape, runs=bool(copies)),
        )
        for name, shape in parameter_shapes(architecture).items()
    }
    params = traverse_util.unflatten_dict(flat, sep="/")
    if trains_prompts:
        prompt = array((runs, arguments.prompt_length, architecture.d_model), jnp.float32)
        trainable, frozen, loss = (
            prompt,
            params,
            loss_function(model, 0.0, PromptTuning.for_inference),
        )
    else:
        trainable, frozen, loss = params, {}, loss_function(model, 0.0, ModelTuning.for_inference)
    sums = training_step.Sums(trainable, *(array((runs,), jnp.float32) for _ in range(2)))
    seeds = jax.eval_shape(jax.vmap(jax.random.key), jnp.arange(runs))
    keys = array(seeds.shape, seeds.dtype)
    accumulate = functools.partial(training_step.accumulate, loss, trains_prompts, 1.0)
    places = jax.tree.map(lambda leaf: leaf.sharding, sums)
    compilable = jax.jit(accumulate, donate_argnums=0, out_shardings=places)
    lowered = compilable.lower(sums, trainable, frozen, rows, keys, array((), jnp.int32))
    if arguments.trains == "nothing":
        generate = generator(model, "beam", arguments.targets_length, devices.replicated())
        lowered = jax.jit(generate).lower(params, trainable, rows.run, rows.inputs, rows.run)
    # The trainables of the best step so far, and the optimiser's state, stay beside them.
    settings = optimizer.hyperparameters([Optimizer(learning_rate=0.3)] * runs, 0)
    state = jax.tree.map(
        lambda leaf: array(leaf.shape, leaf.dtype),
        jax.eval_shape(jax.vmap(optimizer.init), trainable, settings),
    )
    beside = sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves((trainable, state))
    )
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return f"does not fit: {str(error).splitlines()[0]}"
    memory = compiled.memory_analysis()
    if memory is None:
        return "the compiler does not report how much memory the step needs"
    between, within = memory.argument_size_in_bytes + beside, memory.temp_size_in_bytes
    gradient = {"prompt": "inputs", "model": "weights", "nothing": "nothing"}[arguments.trains]
    lengths = arguments.prompt_length * trains_prompts + arguments.inputs_length
    expected = examples * forward(architecture, lengths, arguments.targets_length).step(gradient)
    return (
        f"{between / 2**30:.1f} GiB between steps, {within / 2**30:.1f} GiB within a step"
        f"{operations(compiled, expected / devices.mesh.size)}, per device"
    )


def operations(compiled: Any, expected: float) -> str:
    """What the compiler counts, as far as it does: transfers, operations beside the formula's."""
    cost = compiled.cost_analysis() or {}
    counts = Counter(re.findall(r"= \S+ ((?:all|reduce|collective)-\w+)", compiled.as_text()))
    parts = [f", {count} x {name}" for name, count in sorted(counts.items())]
    if flops := cost.get("flops"):
        parts.append(f", {flops / 1e12:.3f} TFLOP ({flops / expected:.3f} of the formula's)")
    if accessed := cost.get("bytes accessed"):
        parts.append(f", {accessed / 1e9:.1f} GB to and from memory")
    return "".join(parts)


if __name__ == "__main__":
    main()
