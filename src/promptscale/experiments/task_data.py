"""What a tuning job reads: the training batches of its runs, and its dev sets."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from promptscale.config.jobs import TuningJob
from promptscale.config.tasks import task as task_named
from promptscale.data.batches import Batch, indices, padded_length, take
from promptscale.data.prepared import Examples, Ragged, read
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.evaluation.dev_set import DevSet

Splits = Mapping[str, Path]  # by task; the prefix of a prepared split's files


def batches(
    job: TuningJob, train: Splits, vocabulary: Vocabulary, devices: Devices
) -> Callable[[int], Batch]:
    """A function from step to the batches of all runs [N, B, ...], each in its run's order.

    A process reads the examples of a batch that its devices need.
    """
    settings = job.settings
    tasks = {task: _read(job, task, train[task], vocabulary) for task in job.train_tasks}
    mixtures = {names: _mixture([tasks[task] for task in names])
                for names in set(map(job.tasks_trained_on, job.runs))}  # fmt: skip
    examples = [mixtures[job.tasks_trained_on(run)] for run in job.runs]
    lengths = (
        max(padded_length(inputs, settings.max_input_length) for inputs, _ in examples),
        max(padded_length(targets, settings.max_target_length, 1) for _, targets in examples),
    )
    size = settings.batch_size
    rows = devices.local_rows(size)

    def batch(step: int) -> Batch:
        taken = [
            take(*pair, indices(run.seed, step, size, len(pair[0]))[rows], *lengths)
            for run, pair in zip(job.runs, examples, strict=True)
        ]
        stacked = map(np.stack, zip(*taken, strict=True))
        return Batch(*(devices.shard_batch(array, size, axis=1) for array in stacked))

    return batch


def dev_sets(
    job: TuningJob, validation: Splits, vocabulary: Vocabulary, devices: Devices
) -> dict[str, DevSet]:
    """The validation sets by task."""
    splits = {task: _read(job, task, validation[task], vocabulary) for task in job.evaluated_tasks}
    limits = {task: padded_length(split.targets, multiple=1) for task, split in splits.items()}
    for trained, others in job.transfer_tasks.items():  # answered with the trained task's labels
        limits |= {task: max(limits[task], limits[trained]) for task in others}
    return {
        task: DevSet(
            task_named(task),
            split,
            vocabulary,
            prompt_length=job.prompt_length,
            limit=limits[task],
            sentinel=job.sentinel,
            devices=devices,
        )
        for task, split in splits.items()
    }


def _read(job: TuningJob, task: str, prefix: Path, vocabulary: Vocabulary) -> Examples:
    """A prepared split, after its task's name and the sentinel where the job asks for them."""
    split = read(prefix, job.architecture.vocab_size)
    name = vocabulary.encode(task_named(task).prefix) if job.names_tasks else []
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
