"""The micro-batches of a step: rows of similar lengths, padded, on the devices.

All rows of all runs of a step form a pool, which `promptscale.data.shapes` cuts. Every host knows
the lengths of all rows, and so what passes together.
Letters: M rows of the pool, R rows and S, T positions of a micro-batch.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from promptscale.data.batches import pad
from promptscale.data.shapes import Cut, Lengths, Shapes
from promptscale.distributed.mesh import Devices


class Rows(NamedTuple):
    """A micro-batch: token ids, which end with EOS and 0s, and where its rows come from."""

    inputs: Int[Any, "R S"]
    targets: Int[Any, "R T"]
    run: Int[Any, " R"]  # the run that a row belongs to
    example: Int[Any, " R"]  # the place of a row in its run's batch


class Work(NamedTuple):
    """What a step computes; `positions` and `flops` leave the padding out."""

    examples: int = 0
    positions: int = 0
    computed: int = 0  # positions with the padding
    flops: float = 0.0

    def plus(self, other: "Work") -> "Work":
        """The sum of both."""
        return Work(
            self.examples + other.examples,
            self.positions + other.positions,
            self.computed + other.computed,
            self.flops + other.flops,
        )


class StepBatch(NamedTuple):
    """The micro-batches of a step, and what they compute."""

    rows: Sequence[Rows]
    work: Work = Work()


def work(
    shapes: Shapes,
    cuts: Sequence[Cut],
    inputs: Lengths,
    targets: Lengths,
    flops: Callable[[int, int], float],
) -> Work:
    """What the micro-batches of a pool with these lengths compute.

    `flops` is of a row, by its encoder and decoder positions.
    """
    pairs, counts = np.unique(np.stack([inputs, targets]), axis=1, return_counts=True)
    operations = sum(
        int(count) * flops(shapes.before + int(size), int(target))
        for size, target, count in zip(*pairs, counts, strict=True)
    )
    computed = sum(
        len(cut.rows) * (shapes.before + cut.inputs_length + cut.targets_length) for cut in cuts
    )
    positions = int(inputs.sum() + targets.sum()) + shapes.before * len(inputs)
    return Work(len(inputs), positions, computed, operations)


def pad_rows(
    sequences: Sequence[np.ndarray], rows: Int[np.ndarray, " R"], length: int
) -> Int[np.ndarray, "R length"]:
    """The sequences numbered `rows`, padded to `length`; rows of 0s for -1, which come last."""
    ids = pad([sequences[row] for row in rows[rows >= 0].tolist()], length)
    return np.pad(ids, ((0, len(rows) - len(ids)), (0, 0)))


def step_batch(
    shapes: Shapes,
    devices: Devices,
    inputs: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    run: Int[np.ndarray, " M"],
    example: Int[np.ndarray, " M"],
    flops: Callable[[int, int], float],
) -> StepBatch:
    """The micro-batches of a pool on the devices; a process pads the rows that its devices need.

    Args:
      shapes: of the micro-batches.
      devices: where they go.
      inputs: the ids of each row, without EOS; they are cut to the longest of `shapes`.
      targets: likewise.
      run: the run of each row.
      example: the place of each row in its run's batch.
      flops: see `work`.
    """
    lengths = (
        np.minimum([len(ids) + 1 for ids in inputs], shapes.longest.inputs),
        np.minimum([len(ids) + 1 for ids in targets], shapes.longest.targets),
    )
    cuts, batches = list(shapes.cut(*lengths)), []
    for cut in cuts:
        rows = cut.rows[devices.local_rows(len(cut.rows))]
        padded = Rows(
            pad_rows(inputs, rows, cut.inputs_length),
            pad_rows(targets, rows, cut.targets_length),
            run[rows],
            example[rows],
        )
        batches.append(devices.shard_rows(padded, len(cut.rows)))
    return StepBatch(batches, work(shapes, cuts, *lengths, flops))
