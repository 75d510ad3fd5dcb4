"""The scores that claims are tested on: a cell for each curve and size, with a score per seed."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from promptscale.config.axes import AXES
from promptscale.errors import ResultsError
from promptscale.reporting.claims.intervals import Samples
from promptscale.reporting.claims.quantities import Cell, Quantity, average
from promptscale.reporting.comparisons import along_axis, by_size
from promptscale.reporting.context import Context


class AbsentError(Exception):
    """The results lack the runs of a claim."""


class Statistic(NamedTuple):
    """What a claim says, in quantities that are positive where it is true.

    Attributes:
      parts: the quantities; the claim is true if all are positive.
      samples: the scores of each cell, a value per seed. The variances of all cells inform each
        other, also those that no quantity weighs.
      testable: whether the arms of the comparison do better than the best constant answer. Arms
        that do not have learned nothing that could be compared.
    """

    parts: Sequence[Quantity]
    samples: Samples
    testable: bool = True


@dataclasses.dataclass(frozen=True)
class Scores:
    """Mean scores over tasks, by curve, size and seed.

    Attributes:
      table: index curve and seed, columns the sizes, smallest first.
      tasks: the tasks that a score is the mean of.
      floor: the score of the best constant answers to these tasks.
      default: the curve of prompt tuning in the default setting.
    """

    table: pd.DataFrame
    tasks: tuple[str, ...]
    floor: float
    default: str

    @property
    def sizes(self) -> list[str]:
        """The sizes, smallest first."""
        return [str(size) for size in self.table]

    @property
    def curves(self) -> list[str]:
        """The curves, sorted."""
        return sorted({str(curve) for curve in self.table.index.get_level_values(0)})

    def at(self, curve: str, size: str) -> Quantity:
        """The mean score of a curve at a size."""
        return Quantity({(curve, size): 1.0})

    def over(self, curve: str, sizes: Iterable[str] = ()) -> Quantity:
        """The mean score of a curve over some sizes, by default over all."""
        return average(self.at(curve, size) for size in tuple(sizes) or self.sizes)

    def statistic(self, parts: Sequence[Quantity], *arms: str) -> Statistic:
        """The statistic with these parts.

        The curves `arms`, if not given the default's, have to beat the best constant answer at
        every size that a part weighs.
        """
        samples: dict[Cell, np.ndarray] = {
            (curve, size): rows[size].to_numpy()
            for curve, rows in self.table.groupby(level=0)
            for size in self.sizes
        }
        weighed = {cell for part in parts for cell in part.weights}
        sizes = [
            size for size in self.sizes if any((name, size) in weighed for name in self.curves)
        ]
        testable = all(
            samples[curve, size].mean() > self.floor
            for curve in arms or (self.default,)
            for size in sizes
        )
        return Statistic(parts, samples, testable)


def methods(context: Context, *names: str) -> Scores:
    """Scores of each method, prompt tuning in the default setting.

    Raises:
      AbsentError: the results lack a method, the largest size, or a second size.
    """
    scores = context.scores
    wanted = scores["method"].isin(set(names) - {"prompt_tuning"})
    if "prompt_tuning" in names:
        wanted |= context.has_default(scores)
    return _compared(context, scores[wanted], "method", names, "prompt_tuning")


def along(context: Context, axis: str, *others: str) -> Scores:
    """Scores along an ablation axis: of the default's curve and the curves `others` (or of all).

    Raises:
      AbsentError: the results lack a curve, a second curve, the largest size, or a second size.
    """
    default = str(AXES[axis].curve(context.default, context.default))
    rows = along_axis(context, axis)
    curves = set(rows["curve"])
    names = {default, *others} if others else curves
    if default not in curves or len(names) < 2:
        raise AbsentError
    return _compared(context, rows, "curve", sorted(names), default)


def _compared(
    context: Context, rows: pd.DataFrame, curve: str, names: Sequence[str], default: str
) -> Scores:
    """The curves `names`, at the sizes that all of them have."""
    try:
        means = by_size(context, rows, curve)
    except ResultsError:
        raise AbsentError from None
    order = list(dict.fromkeys(means.sort_values("parameters")["size"]))
    table = means.pivot_table(index=[curve, "seed"], columns="size", values="score")[order]
    if not set(names) <= set(table.index.get_level_values(0)):
        raise AbsentError
    table = table.loc[list(names)].dropna(axis=1)
    if table.shape[1] < 2 or table.columns[-1] != context.largest(context.runs["size"]):
        raise AbsentError
    tasks = tuple(means["tasks"].iloc[0].split())
    return Scores(table, tasks, float(context.majority[list(tasks)].mean()), default)
