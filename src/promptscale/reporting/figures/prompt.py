"""The figure of a single prompt: the norm and the neighbours of each of its tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from jaxtyping import Float
from matplotlib.figure import Figure

from promptscale.reporting.figures import style

_INCHES = 0.13  # the height of a prompt token


def draw(
    norms: Float[np.ndarray, " P"],
    vocabulary_norm: float,
    neighbours: Sequence[Sequence[Mapping[str, Any]]],
) -> Figure:
    """Draws a row for each prompt token, named by its nearest neighbour.

    Args:
      norms: the norm of each prompt token.
      vocabulary_norm: the median norm of the vocabulary, a vertical line.
      neighbours: for each prompt token its neighbours, nearest first, with `piece` and `cosine`.
    """
    rows = range(len(norms))
    # Matplotlib would set what lies between two dollar signs as mathematics.
    names = [f"{n[0]['piece']}  {row}".replace("$", r"\$") for row, n in enumerate(neighbours)]
    with style.theme():
        size = (2 * style.COLUMN_WIDTH, 1.0 + _INCHES * max(len(norms), 6))
        figure = Figure(figsize=size, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        left.plot(norms, rows, linestyle="", marker="o", markersize=3, color=style.GREEN)
        label = f"median of the vocabulary: {vocabulary_norm:.3g}"
        left.axvline(vocabulary_norm, color=style.BLACK, linewidth=0.8, dashes=(4, 2), label=label)
        left.set_xlim(left=0)
        left.set_xlabel("Norm of the prompt token")
        left.set_ylabel("Prompt token and its nearest neighbour")
        left.set_yticks(rows, names, fontsize=6)
        left.invert_yaxis()
        cosines = [[float(neighbour["cosine"]) for neighbour in near] for near in neighbours]
        nearest = [near[0] for near in cosines]
        others = [(cosine, row) for row, near in enumerate(cosines) for cosine in near[1:]]
        right.plot(*zip(*others, strict=True), linestyle="", marker="|", markersize=4,
                   color=style.BLUE, label="other neighbours")  # fmt: skip
        right.plot(nearest, rows, linestyle="", marker="X", markersize=4, color=style.GREEN,
                   label="nearest")  # fmt: skip
        right.set_xlabel("Cosine with its neighbours")
        for axes in (left, right):
            axes.grid(axis="y")
            sns.despine(ax=axes)
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure
