"""Cuts a pool of rows into micro-batches of similar lengths under a token budget.

All rows of all runs of a step form a pool. Sorted by length they pass through the model in
micro-batches: a shape is a power of two of rows, and lengths from a short list that fits the job's
data. So few programs are compiled, few positions are padding, and no row is empty on a single
device. What passes together is a function of the lengths alone, known to every host.
Letters: M rows of the pool, R rows and S, T positions of a micro-batch.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from promptscale.data.batches import pad
from promptscale.distributed.mesh import Devices

Lengths: TypeAlias = Int[np.ndarray, " M"]

_LENGTHS = 8  # input lengths of a job's micro-batches, at most
# The positions that a device computes in the time that a program takes to compile, roughly: on two
# CPU cores and for the smallest models as for XXL on a GPU.
_COMPILATION = 2**18


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
      longest_target: the longest target.
      before: the number of positions before each input, such as those of a prompt.
      budget: the number of positions that a device may have at a time; a row always passes.
      devices: how many devices share a micro-batch, each with an equal number of rows.
    """

    inputs: tuple[int, ...]
    longest_target: int
    before: int
    budget: int
    devices: int = 1

    @classmethod
    def fitting(
        cls,
        inputs: Lengths,
        longest_target: int,
        *,
        rows: int,
        before: int = 0,
        budget: int,
        devices: int = 1,
    ) -> "Shapes":
        """The shapes for `rows` inputs with this distribution of lengths, which cost the least.

        Lengths come from a ladder that all jobs share, so that jobs share compiled programs. The
        last is that of the longest input. A further length pays for the compilation of its program.
        """
        rounded = [min(rounded_length(size), int(inputs.max())) for size in inputs.tolist()]
        lengths, counts = np.unique(rounded, return_counts=True)
        chosen = _cheapest(lengths, counts * (rows / len(inputs)))
        return cls(tuple(chosen), longest_target, before, budget, devices)

    def cut(self, inputs: Lengths, targets: Lengths) -> Iterator[Cut]:
        """Cuts a pool with these lengths of inputs and targets, the longest rows first."""
        lengths = np.asarray(self.inputs)[np.searchsorted(self.inputs, inputs)]
        order = np.lexsort((-targets, -lengths))
        start = 0
        while start < len(order):
            length = int(lengths[order[start]])
            rows = self._rows(length, len(order) - start, targets[order[start:]])
            chosen = order[start : start + rows * self.devices]
            empty = np.full(rows * self.devices - len(chosen), -1)
            target = self._target_length(targets[chosen])
            yield Cut(np.concatenate([chosen, empty]), length, target)
            start += len(chosen)

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

    def _rows(self, length: int, left: int, targets: Lengths) -> int:
        """The rows of the next micro-batch on each device: the largest power of two that fits."""
        rows = _power_of_two(max(1, left // self.devices))
        while rows > 1:
            target = self._target_length(targets[: rows * self.devices])
            if rows * (self.before + length + target) <= self.budget:
                break
            rows //= 2
        return rows

    def _target_length(self, targets: Lengths) -> int:
        """The targets' length of a micro-batch, at most the longest: 4, 8, 16, 32, 48, ..."""
        longest = int(targets.max())
        rounded = 4 if longest <= 4 else 8 if longest <= 8 else rounded_length(longest)
        return min(rounded, self.longest_target)


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
        np.minimum([len(ids) + 1 for ids in targets], shapes.longest_target),
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


def _power_of_two(number: int) -> int:
    """The largest power of two up to `number`."""
    return 1 << (number.bit_length() - 1)


def rounded_length(length: int) -> int:
    """The next of 16, 32, ..., 128, 160, 192, 224, 256, 320, ...: four steps from each power."""
    step = max(16, 2 ** (length - 1).bit_length() // 8)
    return max(16, -(-length // step) * step)


def _cheapest(lengths: Int[np.ndarray, " K"], rows: Float[np.ndarray, " K"]) -> list[int]:
    """The lengths, the last included, for which padding and compilation cost the least.

    `rows` are the numbers of rows of each length; a row is padded to the next length chosen.
    """
    before = np.concatenate([[0], np.cumsum(rows)])
    cost = np.full((_LENGTHS + 1, len(lengths) + 1), np.inf)  # of the first lengths, by number
    cost[0, 0] = 0.0
    previous = np.zeros(cost.shape, int)
    for number in range(1, _LENGTHS + 1):
        for end in range(1, len(lengths) + 1):
            padded = (before[end] - before[:end]) * lengths[end - 1]
            costs = cost[number - 1, :end] + padded + _COMPILATION
            previous[number, end] = costs.argmin()
            cost[number, end] = costs.min()
    number, end, chosen = int(cost[:, -1].argmin()), len(lengths), []
    while number:
        chosen.append(int(lengths[end - 1]))
        number, end = number - 1, previous[number, end]
    return chosen[::-1]
