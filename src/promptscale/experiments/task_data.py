"""What a tuning job reads: the training batches of its runs, and the sets that score them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from promptscale.config.jobs import JobRun, ModelTuningJob, MultitaskTuningJob, PromptTuningJob
from promptscale.config.tasks import task as task_named
from promptscale.data.batches import Batch, indices, padded_length, take
from promptscale.data.prepared import Ragged, read
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.evaluation.dev_set import DevSet

Job = PromptTuningJob | ModelTuningJob | MultitaskTuningJob
Prefixes = Mapping[str, Path]  # of prepared splits, by task


class Supervision(NamedTuple):
    """A run's training examples, behind the heads that its method puts before them."""

    inputs: Ragged
    targets: Ragged


def selected_by(job: Job, one: JobRun) -> Sequence[str]:
    """The tasks whose mean score selects a run's step."""
    return job.tasks if isinstance(job, MultitaskTuningJob) else (one.task,)


def reported_on(job: Job, one: JobRun) -> Sequence[str]:
    """The tasks that a run's selected step is evaluated on."""
    return (*selected_by(job, one), *job.transfer_tasks.get(one.task, ()))


def has_sentinel(job: Job) -> bool:
    """Whether targets start with `<extra_id_0>` (`span corruption + sentinel`, section 2.2)."""
    return isinstance(job, PromptTuningJob) and job.settings.sentinel


def _name(job: Job, task: str, vocabulary: Vocabulary) -> list[int]:
    """The ids before a task's inputs: its name, where one model serves several tasks."""
    many = isinstance(job, MultitaskTuningJob)
    return vocabulary.encode(task_named(task).prefix) if many else []


def batches(
    job: Job, train: Prefixes, vocabulary: Vocabulary, devices: Devices
) -> Callable[[int], Batch]:
    """A function from step to the batches of all runs [N, B, ...], each in its own order.

    A process reads those examples of a batch that its devices need.
    """
    settings = job.settings
    sentinel = [vocabulary.sentinel(0)] if has_sentinel(job) else []
    splits = {}
    for task in job.train_tasks:
        split, name = read(train[task]), _name(job, task, vocabulary)
        splits[task] = Supervision(
            split.inputs.prepend(name),
            split.targets.prepend(sentinel),
        )
    if isinstance(job, MultitaskTuningJob):
        own = [_mixture(list(splits.values()))] * len(job.runs)
    else:
        own = [splits[one.task] for one in job.runs]
    lengths = (
        max(padded_length(one.inputs, settings.max_input_length) for one in own),
        max(padded_length(one.targets, settings.max_target_length, multiple=1) for one in own),
    )

    size = settings.batch_size
    rows = devices.local_rows(size)

    def batch(step: int) -> Batch:
        taken = [
            take(*split, indices(one.seed, step, size, len(split.inputs))[rows], *lengths)
            for one, split in zip(job.runs, own, strict=True)
        ]
        stacked = map(np.stack, zip(*taken, strict=True))
        return Batch(*(devices.shard_batch(array, size, axis=1) for array in stacked))

    return batch


def _mixture(splits: Sequence[Supervision]) -> Supervision:
    """All examples of all tasks, which one epoch visits in random order.

    That mixes the tasks in proportion to their numbers of examples, as T5's
    `super_glue_v102_proportional` does.
    """
    inputs = Ragged.pack(sequence for split in splits for sequence in split.inputs)
    return Supervision(
        inputs, Ragged.pack(sequence for split in splits for sequence in split.targets)
    )


def dev_sets(
    job: Job, validation: Prefixes, vocabulary: Vocabulary, devices: Devices
) -> dict[str, DevSet]:
    """The validation sets by task; those of the job's own tasks share one length of inputs."""
    examples = {task: read(validation[task]) for task in job.evaluated_tasks}
    for task, split in examples.items():
        if name := _name(job, task, vocabulary):
            examples[task] = dataclasses.replace(split, inputs=split.inputs.prepend(name))
    common = max(padded_length(examples[task].inputs) for task in job.tasks)
    limits = {
        task: padded_length(split.targets, multiple=1) + has_sentinel(job)
        for task, split in examples.items()
    }
    for own, others in job.transfer_tasks.items():  # answered in the words of the run's own task
        limits |= {task: max(limits[task], limits[own]) for task in others}
    return {
        task: DevSet(
            task_named(task),
            split,
            vocabulary,
            job.evaluation.batch_size,
            inputs_length=common if task in job.tasks else None,
            limit=limits[task],
            devices=devices,
        )
        for task, split in examples.items()
    }
