"""Cuts a pool of rows into micro-batches of similar lengths under a token budget.

All rows of all runs of a step form a pool. Sorted by length they pass through the model in
micro-batches: a shape is a power of two of rows, and lengths from a short list that fits the job's
data. So few programs are compiled, few positions are padding, and rows are empty only where that
spares a short job more than it costs. What passes together is a function of the lengths alone,
known to every host.
Letters: M rows of the pool, R rows and S, T positions of a micro-batch.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int

from promptscale.data.batches import pad
from promptscale.distributed.mesh import Devices

Lengths: TypeAlias = Int[np.ndarray, " M"]

_LENGTHS = 16  # different lengths of a job's inputs, and of its targets, at most


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


class Cut(NamedTuple):
    """The rows of a pool that form a micro-batch, and its lengths; -1 stands for an empty row."""

    rows: Int[np.ndarray, " R"]  # empty rows come last
    inputs_length: int
    targets_length: int


@dataclasses.dataclass(frozen=True)
class Shapes:
    """What micro-batches may look like.

    Attributes:
      inputs: the input lengths, rising; the last holds every row.
      targets: the target lengths, likewise.
      before: the number of positions before each input, such as those of a prompt.
      budget: the number of positions that a device may have at a time; a row always passes.
      devices: how many devices share a micro-batch, each with an equal number of rows.
      overhead: the positions that a device computes in the time that a micro-batch takes beside
        its positions.
    """

    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    before: int
    budget: int
    devices: int
    overhead: int

    @classmethod
    def fitting(
        cls,
        inputs: Lengths,
        targets: Lengths,
        *,
        rows: int,
        pools: int,
        before: int = 0,
        budget: int,
        devices: int = 1,
        multiple: int = 1,
        launch: float | int = 0,
        compilation: float = 2.0**17,
    ) -> "Shapes":
        """The shapes that cost the least for `rows` rows with these distributions of lengths.

        The rows come in `pools` pools. `launch` is the part of the overhead that the device has;
        the other part is a program's compilation, which all pools share. `compilation` is the
        positions that the device computes in that time.

        Lengths come from a ladder that all jobs share, so that jobs share compiled programs. The
        last is that of the longest row. A further length pays for the compilation of its program.
        The positions of the encoder and of the decoder are each a multiple of `multiple`.
        """
        sides = (
            rounded_up(_cheapest(inputs, rows, compilation), multiple, before),
            rounded_up(_cheapest(targets, rows, compilation), multiple),
        )
        return cls(*sides, before, budget, devices, round(launch + compilation / pools))

    def cut(self, inputs: Lengths, targets: Lengths) -> Iterator[Cut]:
        """Cuts a pool with these lengths of inputs and targets, the longest rows first.

        The cut has the least sum of positions and overheads. Only the last micro-batch may have
        empty rows.
        """
        lengths, target_lengths = _next(self.inputs, inputs), _next(self.targets, targets)
        order = np.lexsort((-target_lengths, -lengths))
        lengths, target_lengths = lengths[order], target_lengths[order]
        start = 0
        for rows in self._rows(lengths, target_lengths):
            chosen = order[start : start + rows]
            empty = np.full(rows - len(chosen), -1)
            target = int(target_lengths[start : start + rows].max())
            yield Cut(np.concatenate([chosen, empty]), int(lengths[start]), target)
            start += rows

    def work(
        self,
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
            int(count) * flops(self.before + int(size), int(target))
            for size, target, count in zip(*pairs, counts, strict=True)
        )
        computed = sum(
            len(cut.rows) * (self.before + cut.inputs_length + cut.targets_length) for cut in cuts
        )
        positions = int(inputs.sum() + targets.sum()) + self.before * len(inputs)
        return Work(len(inputs), positions, computed, operations)

    def _rows(self, lengths: Lengths, targets: Lengths) -> list[int]:
        """The rows of each micro-batch of a sorted pool: a power of two on each device."""
        size, share, costs = len(lengths), 1, []
        longest = targets  # among the rows of a micro-batch that starts at each row
        while True:
            positions = share * (self.before + lengths + longest)
            fits = (positions <= self.budget) | (share == 1)
            costs.append((np.where(fits, positions, np.inf) + self.overhead).tolist())
            rows = share * self.devices
            if rows >= size or not fits.any():
                break
            longest = np.maximum(longest, np.append(longest[rows:], np.zeros(rows, int)))
            share *= 2
        best = [(0.0, 0)] * (size + 1)  # from each row: the least cost, and the next rows, negative
        for start in range(size - 1, -1, -1):
            choices = (self.devices << power for power in range(len(costs)))
            best[start] = min(
                (cost[start] + best[min(start + rows, size)][0], -rows)
                for cost, rows in zip(costs, choices, strict=True)
            )
        chosen, start = [], 0
        while start < size:
            chosen.append(-best[start][1])
            start += chosen[-1]
        return chosen


def rounded_up(lengths: Sequence[int], multiple: int, before: int = 0) -> tuple[int, ...]:
    """The next lengths that make multiples together with `before`, each once."""
    return tuple(
        sorted({-(-(before + length) // multiple) * multiple - before for length in lengths})
    )


def _next(lengths: Sequence[int], sizes: Lengths) -> Lengths:
    """The first of the rising `lengths` that holds each size."""
    return np.asarray(lengths)[np.searchsorted(lengths, sizes)]


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
      flops: see `Shapes.work`.
    """
    lengths = (
        np.minimum([len(ids) + 1 for ids in inputs], shapes.inputs[-1]),
        np.minimum([len(ids) + 1 for ids in targets], shapes.targets[-1]),
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
    return StepBatch(batches, shapes.work(cuts, *lengths, flops))


def rounded_length(length: int) -> int:
    """The next of 4, 8, 16, 32, 48, ..., 128, 160, 192, 224, 256, 320, ..."""
    if length <= 8:
        return 4 if length <= 4 else 8
    step = max(16, 2 ** (length - 1).bit_length() // 8)
    return -(-length // step) * step


def _cheapest(sizes: Lengths, rows: int, compilation: float) -> tuple[int, ...]:
    """The lengths for which the padding and compilation of `rows` rows cost the least.

    The rows have the distribution `sizes`. A row is padded to the next length.
    """
    longest = int(sizes.max())
    rounded = [min(rounded_length(size), longest) for size in sizes.tolist()]
    lengths, counts = np.unique(rounded, return_counts=True)
    before = np.concatenate([[0], np.cumsum(counts)]) * (rows / len(sizes))
    cost = np.full((_LENGTHS + 1, len(lengths) + 1), np.inf)  # of the first lengths, by number
    cost[0, 0] = 0.0
    previous = np.zeros(cost.shape, int)
    for number in range(1, _LENGTHS + 1):
        for end in range(1, len(lengths) + 1):
            padded = (before[end] - before[:end]) * lengths[end - 1]
            costs = cost[number - 1, :end] + padded + compilation
            previous[number, end] = costs.argmin()
            cost[number, end] = costs.min()
    number, end, chosen = int(cost[:, -1].argmin()), len(lengths), []
    while number:
        chosen.append(int(lengths[end - 1]))
        number, end = number - 1, previous[number, end]
    return tuple(chosen[::-1])
