"""What a tuning job reads: the micro-batches of its steps, and its dev sets."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from promptscale.config.jobs import JobRun, TuningJob
from promptscale.data.batches import indices, padded_length
from promptscale.data.microbatches import StepBatch, Work, step_batch
from promptscale.data.packing import PackedBatches
from promptscale.data.prepared import Examples, Ragged, read
from promptscale.data.shapes import SAMPLED_ROWS, Lengths, Pool, Shapes
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.evaluation.dev_set import DevSet
from promptscale.planning.flops import step_flops

Splits = Mapping[str, Path]  # by task; the prefix of a prepared split's files


def batches(
    job: TuningJob, train: Splits, vocabulary: Vocabulary, devices: Devices, *, shared: bool
) -> Callable[[int], StepBatch]:
    """A function from step to the micro-batches of all runs, each run in its order of examples.

    Where runs share the model (`shared`), their rows form a pool; elsewhere each run's rows do. A
    process pads the rows that its devices need.
    """
    settings = job.settings
    tasks = {task: _read(job, task, train[task], vocabulary) for task in job.train_tasks}
    mixtures = {names: _mixture([tasks[task] for task in names])
                for names in set(map(job.tasks_trained_on, job.runs))}  # fmt: skip
    examples = [mixtures[job.tasks_trained_on(run)] for run in job.runs]
    numbers = range(len(job.runs))
    pools = [numbers] if shared else [range(run, run + 1) for run in numbers]
    longest = [(settings.max_input_length, job.max_target_length(run)) for run in job.runs]
    lengths = [
        [np.minimum(side.lengths + 1, most) for side, most in zip(pair, limits, strict=True)]
        for pair, limits in zip(examples, longest, strict=True)
    ]
    chosen = [_chosen(job, *fields) for fields in zip(job.runs, lengths, longest, strict=True)]
    flops = step_flops(job.architecture, job.gradient)

    def lengths_of(step: int, pool: Sequence[int]) -> Pool:
        """The lengths of a pool's rows in a step."""
        parts = [[side[chosen[run](step)] for side in lengths[run]] for run in pool]
        inputs, targets = map(np.concatenate, zip(*parts, strict=True))
        return inputs, targets

    rows = sum(len(indices_of(0)) for indices_of in chosen)
    sampled_steps = range(min(settings.steps, 1 + SAMPLED_ROWS // rows))
    inputs, targets = (
        max(int(side.max()) for side in sides) for sides in zip(*lengths, strict=True)
    )
    shapes = Shapes.fitting(
        [lengths_of(step, pool) for step in sampled_steps for pool in pools],
        number=settings.steps * len(pools),
        longest=(inputs, targets),
        before=job.prompt_length,
        budget=devices.token_budget(job.architecture.d_model),
        devices=devices.data_axis,
        multiple=devices.multiple,
        launch=devices.launch_flops / flops(1, 0),
        compilation=devices.compilation(flops(1, 0)),
    )

    def batch(step: int) -> StepBatch:
        parts = [pool_batch(step, pool) for pool in pools]
        work = functools.reduce(Work.plus, (part.work for part in parts))
        return StepBatch([rows for part in parts for rows in part.rows], work)

    def pool_batch(step: int, pool: Sequence[int]) -> StepBatch:
        numbers_of = {run: chosen[run](step).tolist() for run in pool}
        inputs, targets = (
            [
                examples[run][side][number][: longest[run][side] - 1]
                for run, numbers in numbers_of.items()
                for number in numbers
            ]
            for side in (0, 1)
        )
        sizes = [len(numbers) for numbers in numbers_of.values()]
        run_of_row = np.repeat(np.asarray(pool, np.int32), sizes)
        place = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
        return step_batch(shapes, devices, inputs, targets, run_of_row, place, flops)

    return batch


def _chosen(
    job: TuningJob, run: JobRun, lengths: Sequence[Lengths], longest: tuple[int, int]
) -> Callable[[int], Int[np.ndarray, " B"]]:
    """A function from step to the examples of a run's batch."""
    rows = job.settings.batch_size
    if not job.packs:
        return lambda step: indices(run.seed, step, rows, len(lengths[0]))
    inputs_length, targets_length = longest
    return PackedBatches(
        run.seed, *lengths, rows=rows, inputs_length=inputs_length, targets_length=targets_length
    ).indices


def dev_sets(job: TuningJob, validation: Splits, vocabulary: Vocabulary) -> dict[str, DevSet]:
    """The validation sets by task."""
    splits = {task: _read(job, task, validation[task], vocabulary) for task in job.evaluated_tasks}
    limits = {task: padded_length(split.targets) for task, split in splits.items()}
    for trained, others in job.transfer_tasks.items():  # answered with the trained task's labels
        limits |= {task: max(limits[task], limits[trained]) for task in others}
    return {
        task: DevSet(job.task(task), split, vocabulary, limit=limits[task], sentinel=job.sentinel)
        for task, split in splits.items()
    }


def _read(job: TuningJob, task: str, prefix: Path, vocabulary: Vocabulary) -> Examples:
    """A prepared split, after its task's name and the sentinel where the job asks for them."""
    split = read(prefix, job.architecture.vocab_size)
    name = vocabulary.encode(job.task(task).prefix) if job.names_tasks else []
    sentinel = [vocabulary.sentinel(0)] if job.sentinel else []
    return dataclasses.replace(
        split, inputs=split.inputs.prepend(name), targets=split.targets.prepend(sentinel)
    )


def _mixture(splits: Sequence[Examples]) -> tuple[Ragged, Ragged]:
    """The inputs and targets of all splits, which an epoch visits in a random order.

    So the tasks are mixed in proportion to their numbers of examples, as T5's
    `super_glue_v102_proportional` mixes them.
    """
    if len(splits) == 1:
        return splits[0].inputs, splits[0].targets
    return (
        Ragged.pack(sequence for split in splits for sequence in split.inputs),
        Ragged.pack(sequence for split in splits for sequence in split.targets),
    )
