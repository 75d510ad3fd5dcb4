"""The style of all figures, and their files.

Colours are Okabe and Ito's, chosen to differ in lightness; curves also differ in marker and dash
pattern, so nothing depends on colour. The default setting has the paper's green x.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from promptscale.config.tasks import SUPER_GLUE, task
from promptscale.storage.atomic import atomic_write

# The formats of images, and the fields of their metadata that are left out.
IMAGES = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
COLUMN_WIDTH = 3.35  # inches, as a column of a two-column paper

_STYLE = Path(__file__).with_name("paper.mplstyle")


@dataclasses.dataclass(frozen=True)
class Line:
    """The line style of a curve; `dashes` is its dash pattern, empty for a solid line."""

    label: str
    color: str
    marker: str
    dashes: tuple[int | float, ...] = ()
    width: float = 1.3


GREEN, BLUE, ORANGE, SKY, PURPLE, PINK, NAVY, BLACK = (
    "#009E73", "#0072B2", "#E69F00", "#56B4E9", "#AA4499", "#CC79A7", "#22306B", "#222222",
)  # fmt: skip

DEFAULT_COLOR, DEFAULT_MARKER = GREEN, "X"
_OTHERS = (
    (ORANGE, "o", (1, 1)),
    (SKY, "s", (4, 1.5)),
    (PURPLE, "^", (3, 1, 1, 1)),
    (NAVY, "D", (2, 1)),
    (BLACK, "v", (5, 1, 1, 1, 1, 1)),
)
_FURTHER_MARKERS = "Pp*hd<>"


def default_line(label: str) -> Line:
    """The line of the default setting: the paper's green x."""
    return Line(label, DEFAULT_COLOR, DEFAULT_MARKER)


def other_line(label: str, place: int) -> Line:
    """The line of the curve at `place` among those that are not the default's.

    Colours and dash patterns repeat after five curves, with other markers.
    """
    turn, index = divmod(place, len(_OTHERS))
    color, marker, dashes = _OTHERS[index]
    if turn:
        marker = _FURTHER_MARKERS[(place - len(_OTHERS)) % len(_FURTHER_MARKERS)]
    return Line(label, color, marker, dashes)


def score_label(tasks: str) -> str:
    """The label of the y axis: the SuperGLUE score if it is the mean of all eight tasks."""
    names = tasks.split()
    if set(names) == set(SUPER_GLUE):
        return "SuperGLUE Score"
    titles = [task(name).title for name in names]
    if len(titles) == 1:
        return f"{titles[0]} Score"
    over = f"{len(titles)} tasks" if len(titles) > 4 else ", ".join(titles)
    return f"Mean Score\n({over})"


@contextlib.contextmanager
def theme() -> Iterator[None]:
    """Applies seaborn's ticks theme, with sizes for a paper's column, inside a `with`."""
    style = mpl.rc_params_from_file(_STYLE, use_default_template=False)
    with sns.axes_style("ticks"), mpl.rc_context(style):
        yield


def curves(
    axes: Axes, data: pd.DataFrame, lines: Mapping[str, Line], curve: str, score: str
) -> None:
    """Draws `score` against `parameters`, a line per value of `curve`, in the order of `lines`.

    A line is the mean over the rows at a size, its band mean ± sd; a single row has no band.
    """
    for name, line in lines.items():
        rows = data[data[curve] == name]
        if rows.empty:
            continue
        default = line.color == DEFAULT_COLOR
        sns.lineplot(
            rows,
            x="parameters",
            y=score,
            label=line.label,
            color=line.color,
            marker=line.marker,
            markersize=6.5 if default else line.width + 3.7,
            markeredgewidth=0.4,
            linestyle=(0, line.dashes) if line.dashes else "-",
            linewidth=line.width,
            zorder=3 if default else 2,
            errorbar="sd",
            err_kws={"alpha": 0.2, "linewidth": 0},
            legend=False,
            ax=axes,
        )
    axes.set_xscale("log")
    axes.set_xlabel("Model Parameters")
    axes.grid(axis="y")
    _size_ticks(axes, sorted(set(data["parameters"].tolist())))
    sns.despine(ax=axes)


def _size_ticks(axes: Axes, parameters: list[int]) -> None:
    """Sets ticks at powers of ten as in the paper; below two decades at the models' sizes."""
    if parameters[-1] / parameters[0] >= 100:
        axes.xaxis.set_major_locator(LogLocator(base=10, numticks=12))
        axes.xaxis.set_minor_locator(LogLocator(base=10, subs=range(2, 10), numticks=12))
    else:
        axes.xaxis.set_major_locator(FixedLocator(parameters))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(float(value))))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = parameters[0], parameters[-1]
    margin = (high / low) ** 0.06 if high > low else 2.0
    axes.set_xlim(low / margin, high * margin)


def short_count(count: float | int) -> str:
    """A number of parameters in about three characters: 23K, 248M, 2.8B."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= unit:
            scaled = count / unit
            return f"{scaled:.1f}{letter}" if scaled < 10 else f"{scaled:.0f}{letter}"
    return f"{count:.0f}"


def legend_below(figure: Figure | SubFigure, axes: Axes, columns: int) -> None:
    """Puts the legend of `axes` under the figure, in as many `columns` as there is room for."""
    handles, labels = axes.get_legend_handles_labels()
    for ncols in range(min(columns, len(handles)), 0, -1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=ncols)
        if ncols == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def badge(figure: Figure, caption: str) -> None:
    """Prints at the head of the figure what its data are."""
    colors = {"facecolor": "#FFF4CC", "edgecolor": "#D9B84A"}
    box = {"boxstyle": "round,pad=0.35", **colors, "linewidth": 0.6}
    # Matplotlib would set what lies between two dollar signs as mathematics.
    figure.suptitle(caption.replace("$", r"\$"), fontsize=6.5, color="0.15", bbox=box)


def save(figure: Figure, data: pd.DataFrame, stem: Path) -> tuple[Path, ...]:
    """Writes STEM.pdf, STEM.png (200 dpi) and STEM.csv (the plotted numbers), each atomically."""
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in (*IMAGES, "csv")}
    for kind in IMAGES:
        save_image(figure, paths[kind])
    with atomic_write(paths["csv"]) as partial:
        data.to_csv(partial, index=False, lineterminator="\n")
    return tuple(paths.values())


def save_image(figure: Figure, path: Path) -> None:
    """Writes a figure atomically, in the format that the suffix of `path` names (`IMAGES`).

    Equal figures give equal bytes: the file records neither time nor version.
    """
    kind = path.suffix.removeprefix(".")
    with theme(), atomic_write(path) as partial:
        figure.savefig(partial, format=kind, dpi=200, metadata=IMAGES[kind])
