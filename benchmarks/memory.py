"""What a prompt-tuning step of a size holds on each device: `python -m benchmarks.memory --help`.

The real step is compiled for devices simulated on this machine, from shapes alone: nothing of the
model is allocated. What is kept between steps is exact; what XLA allocates within a step is its CPU
backend's plan, which other backends, with kernels of their own, undercut or exceed.
"""

import argparse
import os

from promptscale.config.sizes import SIZES


def main() -> None:
    """Compiles and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="xxl", choices=SIZES)
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
        f"{arguments.size}, {arguments.devices} devices, model_axis {arguments.model_axis}, "
        f"{arguments.runs} x {arguments.batch_size} examples "
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
    from promptscale.training.methods import prompt_loss
    from promptscale.training.optimizer import adafactor

    architecture = model_config(arguments.size)
    devices = Devices(Layout(arguments.model_axis, arguments.examples_at_a_time))
    runs, examples = arguments.runs, arguments.batch_size

    def array(shape, dtype, sharding=None):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding or devices.everywhere())

    params = traverse_util.unflatten_dict(
        {
            name: array(
                shape,
                jnp.float32 if "logits_dense" in name else jnp.dtype(arguments.activations),
                devices.parameter(name, shape),
            )
            for name, shape in parameter_shapes(architecture).items()
        },
        sep="/",
    )
    place = devices.batch_sharding(examples, 1)
    batch = Batch(
        array((runs, examples, arguments.inputs_length), jnp.int32, place),
        array((runs, examples, arguments.targets_length), jnp.int32, place),
    )
    optimizer = adafactor(Optimizer(learning_rate=0.3), 0)
    prompts = jnp.zeros((runs, arguments.prompt_length, architecture.d_model))
    bank = training_step.start(optimizer, devices.replicate(prompts), devices)
    keys = devices.keys(list(range(runs)))
    model = T5(architecture, 0.1, jnp.dtype(arguments.activations))
    step = training_step.make_step(
        prompt_loss(model, 0.0), optimizer, 1.0, arguments.examples_at_a_time
    )
    compiled = jax.jit(step, donate_argnums=0).lower(bank, params, batch, keys, 0).compile()
    found = compiled.memory_analysis()
    return found.argument_size_in_bytes, found.temp_size_in_bytes


if __name__ == "__main__":
    main()
