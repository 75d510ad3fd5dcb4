"""One training step of prompt tuning at the paper's sizes on the accelerator at hand, as JSON.

    python -m benchmarks.accelerator_step --sizes small,base,large,xl [--peft] [--out FILE]

Weights are random and made on the device. A time is the median over steps, until the new prompt is
on the device. `flops` counts operations by `promptscale.planning.flops`, padding included;
`matrix_peak` is what a large bfloat16 matrix product reaches on the same device. With `--peft`,
Hugging Face PEFT trains an encoder prompt of the same length on the same shapes (T5 1.1, bfloat16,
Adafactor, attention and dropout as transformers chooses).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPT_LENGTH, TIMED_STEPS = 100, 10
# name: (examples, input length, target length)
SHAPES = {"dense": (32, 512, 62), "superglue": (32, 312, 8)}


def seconds_of(step: Callable[[], Any], wait: Callable[[Any], Any]) -> float:
    """The median seconds of a step, after two steps that are not counted."""
    times = []
    for _ in range(TIMED_STEPS + 2):
        started = time.perf_counter()
        wait(step())
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


def matrix_peak() -> float:
    """Operations per second of a bfloat16 matrix product of 8192 x 8192 x 8192."""
    import jax
    import jax.numpy as jnp

    side = 8192
    left, right = (
        jax.random.normal(jax.random.key(seed), (side, side), jnp.bfloat16) for seed in (0, 1)
    )
    product = jax.jit(jnp.matmul)
    return 2 * side**3 / seconds_of(lambda: product(left, right), jax.block_until_ready)


def promptscale_step(size: str, runs: int, shape: tuple[int, int, int]) -> dict[str, float]:
    """Times promptscale's step for `runs` prompts trained together, `shape` each."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from flax import traverse_util

    from promptscale.config.settings import Optimizer
    from promptscale.config.sizes import model_config
    from promptscale.data.batches import Batch
    from promptscale.distributed.mesh import Devices
    from promptscale.model import T5, parameter_shapes
    from promptscale.planning.flops import forward
    from promptscale.training.methods import PromptTuning, Start, loss_function
    from promptscale.training.step import CompiledStep, initial_state, make_step

    architecture, (examples, inputs, targets) = model_config(size), shape
    devices = Devices()

    # Compiled once for each shape: a single program of all arrays takes minutes to compile.
    draw_array = jax.jit(jax.random.normal, static_argnums=(1, 2))
    weights = {
        name: draw_array(
            jax.random.key(index),
            sides,
            jnp.dtype("float32" if "logits_dense" in name else "bfloat16"),
        )
        for index, (name, sides) in enumerate(sorted(parameter_shapes(architecture).items()))
    }
    weights = {name: jnp.asarray(0.05, leaf.dtype) * leaf for name, leaf in weights.items()}
    frozen = traverse_util.unflatten_dict(weights, sep="/")
    prompts = devices.replicate(
        np.random.default_rng(0)
        .normal(size=(runs, PROMPT_LENGTH, architecture.d_model))
        .astype("f")
    )
    draw = np.random.default_rng(1)
    batch = Batch(
        *(jnp.asarray(draw.integers(2, 32_000, (runs, examples, length), np.int32))
          for length in (inputs, targets))
    )  # fmt: skip
    model = T5(architecture, 0.1, jnp.dtype("bfloat16"))
    state = initial_state(Start(prompts, {}, 0), [Optimizer(learning_rate=0.3)] * runs, devices)
    step = CompiledStep(make_step(loss_function(model, 1e-4, PromptTuning.for_inference)))
    keys = devices.keys(list(range(runs)))
    states = [state]

    def take() -> Any:
        states[0] = step(states[0], frozen, batch, keys, np.int32(0))
        return states[0].trainable

    seconds = seconds_of(take, jax.block_until_ready)
    count = runs * examples
    operations = count * forward(architecture, PROMPT_LENGTH + inputs, targets).step("inputs")
    memory = jax.devices()[0].memory_stats() or {}
    return {
        "seconds": seconds,
        "compile_seconds": step.seconds,
        "examples_per_second": count / seconds,
        "flops": operations / seconds,
        "peak_gib": memory.get("peak_bytes_in_use", 0) / 2**30,
    }


def peft_step(size: str, shape: tuple[int, int, int]) -> dict[str, float]:
    """Times PEFT's step for a prompt."""
    import torch
    from peft import PromptTuningConfig, get_peft_model
    from transformers import T5Config, T5ForConditionalGeneration
    from transformers.optimization import Adafactor

    from promptscale.config.sizes import model_config

    architecture, (examples, inputs, targets) = model_config(size), shape
    config = T5Config(
        d_model=architecture.d_model, d_kv=architecture.head_dim, d_ff=architecture.d_ff,
        num_layers=architecture.num_encoder_layers, num_heads=architecture.num_heads,
        num_decoder_layers=architecture.num_decoder_layers, vocab_size=architecture.vocab_size,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
    )  # fmt: skip
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = T5ForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    prompt = PromptTuningConfig(
        task_type="SEQ_2_SEQ_LM", num_virtual_tokens=PROMPT_LENGTH, num_transformer_submodules=1,
    )  # fmt: skip
    model = get_peft_model(model, prompt).cuda().train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = Adafactor(trained, lr=0.3, relative_step=False, scale_parameter=False)
    ids, labels = (torch.randint(2, 32_000, (examples, length), device="cuda")
                   for length in (inputs, targets))  # fmt: skip
    mask = torch.ones_like(ids)

    def take() -> None:
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.cuda.reset_peak_memory_stats()
    seconds = seconds_of(take, lambda _: torch.cuda.synchronize())
    peak = torch.cuda.max_memory_allocated() / 2**30
    return {
        "seconds": seconds,
        "examples_per_second": examples / seconds,
        "peak_gib": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="small,base,large,xl")
    parser.add_argument("--runs", default="1,3")
    parser.add_argument("--shapes", default="dense,superglue")
    parser.add_argument("--peft", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []

    def record(measure: Callable[..., dict[str, float]], **labels: Any) -> None:
        shape = SHAPES[labels["shape"]]
        given = {name: labels[name] for name in ("size", "runs") if name in labels}
        try:
            row = {**labels, **measure(shape=shape, **given)}
        except Exception as error:  # a size that does not fit must not end the others' measurement
            row = {**labels, "error": f"{type(error).__name__}: {str(error)[:200]}"}
        rows.append(row)
        print(json.dumps(row), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")

    if arguments.peft:
        import torch

        for size in arguments.sizes.split(","):
            for shape in arguments.shapes.split(","):
                record(peft_step, trainer="peft", size=size, shape=shape)
                torch.cuda.empty_cache()
        return
    import jax

    device = jax.devices()[0]
    print(json.dumps({"device": device.device_kind, "matrix_peak": matrix_peak()}), flush=True)
    for size in arguments.sizes.split(","):
        for shape in arguments.shapes.split(","):
            for runs in map(int, arguments.runs.split(",")):
                record(promptscale_step, trainer="promptscale", size=size, shape=shape, runs=runs)


if __name__ == "__main__":
    main()
