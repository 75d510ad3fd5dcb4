"""How much of what the paper's jobs compute is padding: `python -m benchmarks.padding`.

Draws batches with the lengths of lengths.yaml, cuts them as a training does on the machines of
`config/paper.yaml`, and compares the FLOPs of the micro-batches with those of the rows alone. The
result belongs in `promptscale.planning.costs.PADDING`.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from promptscale.config import grid, outputs
from promptscale.config.accelerators import accelerators
from promptscale.config.jobs import AnyTuningJob, LanguageModelingJob, PromptDesignJob
from promptscale.config.lengths import segments
from promptscale.config.load import load_config
from promptscale.data.shapes import Shapes
from promptscale.planning.flops import forward

STEPS = 4  # that are drawn of each job
# Those of a TPU, as in `promptscale.distributed.mesh`.
LAUNCH_FLOPS, MULTIPLE = 2.0**40, 8

Pool = tuple[np.ndarray, np.ndarray]  # lengths of the inputs and of the targets of a step's rows


def task_pools(job: AnyTuningJob, rng: np.random.Generator) -> Iterator[Pool]:
    """The rows of all runs; targets have their mean length but for a row with the longest."""
    settings = job.settings
    trained = sum(part.number for part in job.sequences if part.gradient != "nothing")
    batch = round(trained / settings.steps / len(job.runs))
    for _ in range(STEPS):
        inputs, targets = [], []
        for run in job.runs:
            splits = [job.lengths(task, "train") for task in job.tasks_trained_on(run)]
            sizes = np.array([split.examples for split in splits])
            counts = rng.multinomial(batch, sizes / sizes.sum())
            for split, count in zip(splits, counts.tolist(), strict=True):
                places = (np.arange(len(split.inputs)) + 0.5) / len(split.inputs)
                drawn = np.interp(rng.random(count), places, split.inputs).round()
                inputs.append(np.minimum(drawn, settings.max_input_length))
                spread = min(1.0, (split.longest_target - split.target) / 2)
                lengths = rng.normal(split.target, spread, count).round()
                targets.append(np.clip(lengths, 2, job.max_target_length(run)))
        yield np.concatenate(inputs).astype(int), np.concatenate(targets).astype(int)


def text_pools(job: LanguageModelingJob, rng: np.random.Generator) -> Iterator[Pool]:
    """The rows of prefix LM."""
    lengths, shares = zip(*segments(float(job.settings.inputs_length - 1)).items(), strict=True)
    for _ in range(STEPS):
        drawn = rng.choice(np.round(lengths).astype(int), job.settings.batch_size, p=shares)
        prefix = rng.integers(1, np.maximum(drawn, 2))
        yield prefix + 1, np.maximum(drawn - prefix, 0) + 1


def main() -> None:
    config, rng = load_config(Path("config/paper.yaml")), np.random.default_rng(0)
    real: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    computed: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    trained = outputs.trained_checkpoints(config)
    models = [grid.language_modeling_job(config, *pair) for pair in trained]
    for job in (*grid.all_jobs(config).values(), *models):
        if isinstance(job, PromptDesignJob):
            continue
        hardware, settings = config.hardware[job.size], job.settings
        machine = accelerators()[hardware.accelerator]
        before, gradient, groups, method = 0, "weights", [slice(None)], "language_modeling"
        if isinstance(job, LanguageModelingJob):
            pools = list(text_pools(job, rng))
        else:
            pools = list(task_pools(job, rng))
            before, gradient, method = job.prompt_length, job.gradient, job.method
            if method != "prompt_tuning":  # rows of a run at a time
                size = len(pools[0][0]) // len(job.runs)
                groups = [slice(i * size, (i + 1) * size) for i in range(len(job.runs))]
        shapes = Shapes.fitting(
            [(inputs[group], targets[group]) for inputs, targets in pools for group in groups],
            number=settings.steps * len(groups),
            before=before,
            budget=hardware.token_budget or 2**13,
            multiple=MULTIPLE,
            devices=machine.devices // min(hardware.model_axis, machine.devices),
            launch=LAUNCH_FLOPS / forward(job.architecture, 1, 0).step(gradient),
        )
        speed = machine.peak_tflops * machine.devices / machine.chips
        weight = settings.steps / speed

        def flops(
            inputs: float, targets: float, job=job, before=before, gradient=gradient
        ) -> float:
            return forward(job.architecture, before + inputs, targets).step(gradient)

        for inputs, targets in pools:
            for group in groups:
                for cut in shapes.cut(inputs[group], targets[group]):
                    step = weight * len(cut.rows) * flops(cut.inputs_length, cut.targets_length)
                    computed[method][job.size] += step
                rows = zip(inputs[group].tolist(), targets[group].tolist(), strict=True)
                real[method][job.size] += weight * sum(flops(*row) for row in rows)
    for method, sizes in computed.items():
        shares = {size: 1 - real[method][size] / total for size, total in sizes.items()}
        whole = 1 - sum(real[method].values()) / sum(sizes.values())
        print(method, f"{whole:.3f}", {size: round(share, 3) for size, share in shares.items()})


if __name__ == "__main__":
    main()
