"""All figures by name."""

from pathlib import Path
from typing import Any

from promptscale.config.axes import AXES
from promptscale.errors import ResultsError
from promptscale.reporting.context import Context
from promptscale.reporting.figures import figure1, figure3, figure4, style


def draw_figure(name: str, context: Context, stem: Path) -> None:
    """Draws the figure called `name` to STEM.pdf, STEM.png and STEM.csv.

    Figure 3 has a figure for each of its panels, too.

    Raises:
      ResultsError: no such figure, or the results lack runs that it shows.
    """
    figures: dict[str, tuple[Any, ...]] = {"figure1": (figure1,), "figure3": (figure3,)}
    figures |= {f"figure3{axis.panel.letter}": (figure3, [axis.name]) for axis in AXES.values()}
    figures["figure4"] = (figure4,)
    if name not in figures:
        raise ResultsError(f"There is no figure {name!r}; there are {', '.join(figures)}.")
    module, *arguments = figures[name]
    data = module.data(context, *arguments)
    style.save(module.draw(context, data), data, stem)
