"""The shapes of micro-batches: how many rows of which lengths pass through a model together.

Rows of similar lengths form a micro-batch. Every shape is a program to compile, so a job has few
shapes: those for which padding, launches and compilation together take little time. The choice is
a function of lengths and of numbers that all hosts know, so every host makes the same.
Letters: M rows of a pool, which are the rows that a step or an evaluation has.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int

Lengths: TypeAlias = Int[np.ndarray, " M"]
# The lengths of the inputs and of the targets of a pool's rows.
Pool: TypeAlias = tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]

_LENGTHS = 16  # different lengths of a job's inputs, and of its targets, at most

# The choice looks at about so many rows, so that it takes a fraction of a second. Lengths are
# chosen by twice as many, which the caller gives.
_SAMPLED_ROWS = 2**11
SAMPLED_ROWS = 2 * _SAMPLED_ROWS

_EXCHANGED = 8  # so few shapes are exchanged for others; with more, the gain is small
_ALONE = 2.0**40  # added to the cost of a row that none of the chosen shapes holds


class Shape(NamedTuple):
    """The rows of a micro-batch on each device, and its lengths."""

    rows: int
    inputs: int
    targets: int


class Cut(NamedTuple):
    """The rows of a pool that form a micro-batch, and its lengths; -1 stands for an empty row."""

    rows: Int[np.ndarray, " R"]  # empty rows come last
    inputs_length: int
    targets_length: int


@dataclasses.dataclass(frozen=True)
class Shapes:
    """What micro-batches may look like.

    Attributes:
      choice: the shapes of micro-batches.
      longest: a single row with the longest input and target. A row that no shape of the choice
        holds passes alone.
      before: the number of positions before each input, such as those of a prompt.
      devices: how many devices share a micro-batch, each with an equal number of rows.
      launch: the positions that a device computes in the time that it loses with a micro-batch.
    """

    choice: Set[Shape]
    longest: Shape
    before: int
    devices: int
    launch: float

    @classmethod
    def fitting(
        cls,
        pools: Sequence[Pool],
        *,
        number: int,
        longest: tuple[int, int] | None = None,
        before: int = 0,
        budget: int,
        devices: int = 1,
        multiple: int = 1,
        launch: float | int = 0,
        compilation: float | int = 2.0**17,
        compiled: Set[Shape] = frozenset(),
    ) -> "Shapes":
        """Shapes that cost little for `number` pools.

        The shapes that the cheapest cuts would use are left out or exchanged as long as that makes
        padding, launches and compilation together cheaper. There may be better shapes.

        Args:
          pools: some of the pools, with about `SAMPLED_ROWS` rows in all, or all pools.
          number: how many pools there are.
          longest: the lengths of the longest input and target of all pools; by default those of
            `pools`.
          before: see `Shapes`.
          budget: the positions that a device may have at a time; a row always passes.
          devices: see `Shapes`.
          multiple: the positions of the encoder and of the decoder are multiples of this. Where it
            is 1, lengths come from a ladder that all jobs share, but for the longest, so that jobs
            share compiled programs.
          launch: see `Shapes`.
          compilation: the positions that a device computes while a program compiles.
          compiled: shapes whose programs are compiled.
        """
        sizes = [len(inputs) for inputs, _ in pools]
        rows = number * sum(sizes) / len(pools)
        inputs, targets = map(np.concatenate, zip(*pools, strict=True))
        most = longest or (int(inputs.max()), int(targets.max()))
        input_lengths, target_lengths = (
            _ladder(side, length, rows, float(compilation))
            for side, length in zip((inputs, targets), most, strict=True)
        )
        input_lengths = _rounded_up(input_lengths, multiple, before)
        target_lengths = _rounded_up(target_lengths, multiple)
        shapes = {
            Shape(share, length, target)
            for share in _row_counts(max(sizes) / devices)
            for length in input_lengths
            for target in target_lengths
            if share == 1 or share * (before + length + target) <= budget
        }
        alone = Shape(1, input_lengths[-1], target_lengths[-1])
        sample = _sampled(pools)
        return _cheaper(
            cls(shapes | compiled, alone, before, devices, float(launch)),
            sample,
            rows / sum(len(inputs) for inputs, _ in sample),
            float(compilation),
            compiled,
        )

    def cut(self, inputs: Lengths, targets: Lengths) -> Iterator[Cut]:
        """Cuts a pool with these lengths of inputs and targets, the longest rows first.

        Of all cuts of the rows in this order, it has the least sum of positions and launches. Only
        the last micro-batch has empty rows.
        """
        order, shapes, _ = self.cheapest_cut(inputs, targets)
        start = 0
        for shape in shapes:
            rows = shape.rows * self.devices
            chosen = order[start : start + rows]
            empty = np.full(rows - len(chosen), -1)
            yield Cut(np.concatenate([chosen, empty]), shape.inputs, shape.targets)
            start += rows

    def cheapest_cut(
        self, inputs: Lengths, targets: Lengths
    ) -> tuple[Int[np.ndarray, " M"], list[Shape], float]:
        """The pool's rows in order, the shapes that they pass in, and the cost in positions."""
        # Inputs of the same padded length are sorted by their targets.
        ladder = np.array(sorted({shape.inputs for shape in (*self.choice, self.longest)}))
        padded = ladder[np.searchsorted(ladder, inputs)]
        order = np.lexsort((-targets, -padded))
        inputs, targets, size = padded[order], targets[order], len(order)
        alone = [self.longest]
        choices = [(self.devices, *self._costs(alone, inputs, targets, _ALONE), alone)]
        for share, group in itertools.groupby(sorted(self.choice), lambda shape: shape.rows):
            shapes, rows = list(group), share * self.devices
            costs = self._costs(shapes, inputs, _longest_of_next(targets, rows))
            choices.append((rows, *costs, shapes))
        least, choice = [0.0] * (size + 1), [0] * size  # from each row to the last
        for start in range(size - 1, -1, -1):
            least[start], negative = min(
                (costs[start] + least[min(start + rows, size)], -number)
                for number, (rows, costs, *_) in enumerate(choices)
            )
            choice[start] = -negative
        cut, start = [], 0
        while start < size:
            rows, _, cheapest, shapes = choices[choice[start]]
            cut.append(shapes[cheapest[start]])
            start += rows
        return order, cut, least[0]

    def _costs(
        self, shapes: Sequence[Shape], inputs: Lengths, targets: Lengths, further: float = 0.0
    ) -> tuple[list[float], Int[np.ndarray, " M"]]:
        """The least cost of a micro-batch of each of these lengths, and the place of its shape."""
        rows, input_lengths, target_lengths = np.array(shapes).T[:, :, np.newaxis]
        positions = rows * (self.before + input_lengths + target_lengths)
        holds = (inputs <= input_lengths) & (targets <= target_lengths)
        costs = np.where(holds, positions + self.launch + further, np.inf)
        return costs.min(axis=0).tolist(), costs.argmin(axis=0)


def _sampled(pools: Sequence[Pool]) -> list[Pool]:
    """Some pools, with at most `SAMPLED_ROWS` rows of each."""
    draw, sample, rows = np.random.default_rng(0), [], 0
    for place in draw.permutation(len(pools)).tolist():
        inputs, targets = pools[place]
        chosen = draw.permutation(len(inputs))[:SAMPLED_ROWS]
        sample.append((inputs[chosen], targets[chosen]))
        rows += len(chosen)
        if rows >= _SAMPLED_ROWS:
            break
    return sample


def _cheaper(
    shapes: Shapes,
    pools: Sequence[Pool],
    weight: float,
    compilation: float,
    compiled: Set[Shape],
) -> Shapes:
    """Leaves out or exchanges shapes as long as that is cheaper, those that save least first.

    `pools` are samples, of which a row stands for `weight` rows; see `Shapes.fitting`.
    """

    def cost(choice: Set[Shape]) -> tuple[float, Counter[Shape]]:
        """The cost of all rows with these shapes, and how often each is used."""
        of_choice = dataclasses.replace(shapes, choice=choice)
        cuts = [of_choice.cheapest_cut(*pool) for pool in pools]
        uses = Counter(shape for _, cut, _ in cuts for shape in cut)
        new = len(uses.keys() - compiled)
        return weight * sum(value for *_, value in cuts) + compilation * new, uses

    def saved(shape: Shape) -> tuple[int, Shape]:
        """The positions that pass in the shape: no fewer than what it saves."""
        return uses[shape] * shape.rows * (shapes.before + shape.inputs + shape.targets), shape

    least, uses = cost(shapes.choice)
    choice, tried = uses.keys() | compiled, set(compiled)
    while untried := choice - tried:
        dear = min(untried, key=saved)
        tried.add(dear)
        fewer, uses_of_fewer = cost(choice - {dear})
        if fewer <= least:
            choice, least, uses = choice - {dear}, fewer, uses_of_fewer
    for shape in sorted(choice - compiled) if len(choice) <= _EXCHANGED else ():
        others = [other for other in shapes.choice - choice if other[1:] == shape[1:]]
        for other in sorted(others):
            exchanged, _ = cost(choice - {shape} | {other})
            if exchanged < least:
                choice, shape, least = choice - {shape} | {other}, other, exchanged
    return dataclasses.replace(shapes, choice=choice)


def _rounded_up(lengths: Sequence[int], multiple: int, before: int = 0) -> tuple[int, ...]:
    """The next lengths that make multiples together with `before`, each once."""
    return tuple(
        sorted({-(-(before + length) // multiple) * multiple - before for length in lengths})
    )


def rounded_length(length: int) -> int:
    """The next of 4, 8, 16, 32, 48, ..., 128, 160, 192, 224, 256, 320, ..."""
    if length <= 8:
        return 4 if length <= 4 else 8
    step = max(16, 2 ** (length - 1).bit_length() // 8)
    return -(-length // step) * step


def _row_counts(most: float) -> Iterator[int]:
    """The numbers 1, 2, 3, 4, 6, 8, 12, 16, ... up to the first that is not below `most`."""
    rows = 1
    while True:
        yield rows
        if rows >= most:
            return
        power = rows.bit_count() == 1  # of two
        rows = 2 if rows == 1 else rows * 3 // 2 if power else rows * 4 // 3


def _longest_of_next(lengths: Lengths, rows: int) -> Lengths:
    """The longest of the `rows` lengths from each place on."""
    padded = np.pad(lengths, (0, rows - 1))
    return np.lib.stride_tricks.sliding_window_view(padded, rows).max(axis=1)


def _ladder(sizes: Lengths, longest: int, rows: float, compilation: float) -> tuple[int, ...]:
    """The lengths for which the padding and compilation of `rows` rows cost the least.

    The rows have the distribution `sizes`. A row is padded to the next length; the last is
    `longest`.
    """
    different, numbers = np.unique(sizes, return_counts=True)
    counts_of = Counter({longest: 0})
    for size, count in zip(different.tolist(), numbers.tolist(), strict=True):
        counts_of[min(rounded_length(size), longest)] += count
    lengths = sorted(counts_of)
    counts = [counts_of[length] for length in lengths]
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
        chosen.append(lengths[end - 1])
        number, end = number - 1, previous[number, end]
    return tuple(chosen[::-1])
