"""Linear combinations of the mean scores of cells."""

import dataclasses
from collections.abc import Hashable, Iterable, Mapping

Cell = Hashable  # what a mean over seeds is of, such as a curve and a size


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A weighted sum of cells' means, plus a constant. Quantities add up and can be scaled.

    Attributes:
      weights: the weight of each cell's mean.
      constant: what is added to the sum, in the unit of the means.
    """

    weights: Mapping[Cell, float] = dataclasses.field(default_factory=dict)
    constant: float = 0.0

    def __add__(self, other: "Quantity | float") -> "Quantity":
        if not isinstance(other, Quantity):
            return Quantity(self.weights, self.constant + other)
        weights = dict(self.weights)
        for cell, weight in other.weights.items():
            weights[cell] = weights.get(cell, 0.0) + weight
        return Quantity(weights, self.constant + other.constant)

    __radd__ = __add__

    def __mul__(self, factor: float) -> "Quantity":
        weights = {cell: factor * weight for cell, weight in self.weights.items()}
        return Quantity(weights, factor * self.constant)

    __rmul__ = __mul__

    def __neg__(self) -> "Quantity":
        return -1.0 * self

    def __sub__(self, other: "Quantity | float") -> "Quantity":
        return self + -other

    def __rsub__(self, other: float) -> "Quantity":
        return -self + other


def average(quantities: Iterable[Quantity]) -> Quantity:
    """The mean of at least one quantity."""
    terms = list(quantities)
    return sum(terms, Quantity()) * (1 / len(terms))
