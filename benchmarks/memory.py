"""What a training step of a size holds on each device: `python -m benchmarks.memory --help`.

The real step is compiled for devices simulated on this machine, from shapes alone: nothing of the
model is allocated. What is kept between steps is exact; what XLA allocates within a step is its CPU
backend's plan, which other backends, with kernels of their own, undercut or exceed.
"""

import argparse
import math
import os

from promptscale.config.sizes import SIZES


def main() -> None:
    """Compiles and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="xxl", choices=SIZES)
    parser.add_argument("--trains", default="prompt", choices=["prompt", "model"])
    parser.add_argument("--devices", type=int, default=16)
    parser.add_argument("--model-axis", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--examples-at-a-time", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--prompt-length", type=int, default=100)
    parser.add_argument("--inputs-length", type=int, default=512)
    parser.add_argument("--targets-length", type=int, default=16)
    parser.add_argument("--activations", default="bfloat16")
    arguments = parser.parse_args()
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={arguments.devices}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    kept, within = measure(arguments)
    print(
        f"{arguments.trains} of {arguments.size}, {arguments.devices} devices, "
        f"model_axis {arguments.model_axis}, {arguments.runs} x {arguments.batch_size} examples "
        f"({arguments.examples_at_a_time or 'all'} at a time): {kept / 2**30:.1f} GiB kept, "
        f"{within / 2**30:.1f} GiB within a step, on each device"
    )


def measure(arguments: argparse.Namespace) -> tuple[int, int]:
    """Bytes on each device: kept between steps, and allocated within a step on top of them."""
    import jax
    import jax.numpy as jnp
    from flax import traverse_util

    from promptscale.config.schema import Optimizer
    from promptscale.config.sizes import model_config
    from promptscale.data.batches import Batch
    from promptscale.model import T5, parameter_shapes
    from promptscale.training import step as training_step
    from promptscale.training.mesh import Devices, Layout
    from promptscale.training.methods import model_loss, prompt_loss
    from promptscale.training.optimizer import adafactor

    architecture = model_config(arguments.size)
    devices = Devices(Layout(arguments.model_axis, arguments.examples_at_a_time))
    runs, examples = arguments.runs, arguments.batch_size

    def array(shape, dtype, sharding=None):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding or devices.everywhere())

    place = devices.batch_sharding(examples, 1)
    batch = Batch(
        array((runs, examples, arguments.inputs_length), jnp.int32, place),
        array((runs, examples, arguments.targets_length), jnp.int32, place),
    )
    model = T5(architecture, 0.1, jnp.dtype(arguments.activations))
    of_prompts = arguments.trains == "prompt"
    copies = () if of_prompts else (runs,)
    kept = arguments.activations if of_prompts else "float32"
    flat = {
        name: array(
            (*copies, *shape),
            jnp.float32 if "logits_dense" in name else jnp.dtype(kept),
            devices.parameter(name, shape, runs=bool(copies)),
        )
        for name, shape in parameter_shapes(architecture).items()
    }
    params = traverse_util.unflatten_dict(flat, sep="/")
    if of_prompts:
        prompt = array((runs, arguments.prompt_length, architecture.d_model), jnp.float32)
        trainable, frozen, loss = prompt, params, prompt_loss(model, 0.0)
    else:
        trainable, frozen, loss = params, {}, model_loss(model, 0.0)
    optimizer = adafactor(Optimizer(learning_rate=0.3), 0)
    state = jax.tree.map(
        lambda leaf: array(leaf.shape, leaf.dtype),
        jax.eval_shape(jax.vmap(optimizer.init), trainable),
    )
    bank = training_step.Bank(trainable, state, *[array((runs,), jnp.float32)] * 2)
    keys = devices.keys(list(range(runs)))
    step = training_step.make_step(loss, optimizer, 1.0, arguments.examples_at_a_time)
    places = jax.tree.map(lambda leaf: leaf.sharding, bank)
    compilable = jax.jit(step, donate_argnums=0, out_shardings=places)
    compiled = compilable.lower(bank, frozen, batch, keys, 0).compile()
    found = compiled.memory_analysis()
    # The best trainables so far are kept beside those in training.
    best = sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(trainable)
    )
    return found.argument_size_in_bytes + best, found.temp_size_in_bytes


if __name__ == "__main__":
    main()
