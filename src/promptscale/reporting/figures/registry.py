"""All figures by name."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from promptscale.config.axes import AXES
from promptscale.errors import ResultsError
from promptscale.reporting.context import Context
from promptscale.reporting.figures import figure1, figure3, figure4, style

Drawing = tuple[Figure, pd.DataFrame]  # a figure and the numbers in it


def builders() -> dict[str, Callable[[Context], Drawing]]:
    """The function that makes each figure; Figure 3 has a figure for each of its panels too."""
    panels = {
        f"figure3{axis.panel.letter}": functools.partial(_figure3, names=[name])
        for name, axis in AXES.items()
    }
    return {"figure1": _figure1, "figure3": _figure3, **panels, "figure4": _figure4}


def draw_figure(name: str, context: Context, stem: Path) -> None:
    """Draws the figure called `name` to STEM.pdf, STEM.png and STEM.csv.

    Raises:
      ResultsError: no such figure, or the results lack runs that it shows.
    """
    known = builders()
    if name not in known:
        raise ResultsError(f"There is no figure {name!r}; there are {', '.join(known)}.")
    style.save(*known[name](context), stem)


def _figure1(context: Context) -> Drawing:
    data = figure1.data(context.runs, context.default, context.architectures)
    floors = pd.read_csv(context.path("majority"), index_col="task")["score"]
    floor = float(floors[data["tasks"].iloc[0].split()].mean())
    return figure1.draw(data, floor, context.architectures), data


def _figure3(context: Context, names: Sequence[str] | None = None) -> Drawing:
    data = figure3.data(context.runs, context.default, names, context.architectures)
    return figure3.draw(data, context.architectures), data


def _figure4(context: Context) -> Drawing:
    data = figure4.data()
    return figure4.draw(data), data
