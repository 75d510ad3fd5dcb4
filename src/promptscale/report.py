"""From the tables of results to the paper's figures and tables, by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.errors import ResultsError
from promptscale.figures import figure1, figure3, figure4, style
from promptscale.results import PromptSetting, one_world, read_runs
from promptscale.tables import statistics, table4, table5, tables7to16
from promptscale.tables.table import write


def draw_figure(
    name: str,
    runs: Path,
    majority: Path,
    default: Mapping[str, Any],
    architectures: Mapping[str, Mapping[str, int]],
    stem: Path,
) -> None:
    """Draws the figure called `name` (`figure1`, `figure3a`, `figure4`) to STEM.{pdf,png,csv}.

    Args:
      name: the figure.
      runs: `runs.csv`.
      majority: `majority.csv`, the scores of the best constant answers.
      default: the default setting of prompt tuning (`results.PromptSetting`).
      architectures: sizes that are not built in.
      stem: the output paths without their suffixes.
    Raises:
      ResultsError: no such figure, or the results lack what it shows.
    """
    sizes = _sizes(architectures)
    match name:
        case "figure1":
            data = figure1.data(read_runs(runs), PromptSetting(**default), architectures=sizes)
            floors = pd.read_csv(majority, index_col="task")["score"]
            figure = figure1.draw(data, float(floors[data["tasks"].iloc[0].split()].mean()))
        case "figure3a":
            data = figure3.data(
                read_runs(runs), PromptSetting(**default), ["a"], architectures=sizes
            )
            figure = figure3.draw(data)
        case "figure4":
            data = figure4.data()
            figure = figure4.draw(data)
        case _:
            raise ResultsError(
                f"There is no figure {name!r}; there are figure1, figure3a, figure4."
            )
    style.save(figure, data, stem)


def write_table(
    name: str,
    runs: Path,
    datasets: Path,
    default: Mapping[str, Any],
    architectures: Mapping[str, Mapping[str, int]],
    stem: Path,
) -> None:
    """Writes the table called `name` to STEM.{csv,md,tex}.

    `datasets` is `datasets.csv`, for Tables 7 to 16; the other arguments are `draw_figure`'s.

    Raises:
      ResultsError: no such table, or the results lack what it shows.
    """
    match name:
        case "table4":
            table = table4.build()
        case "table5":
            table = table5.build(
                read_runs(runs), PromptSetting(**default), architectures=_sizes(architectures)
            )
        case _:
            world = one_world(pd.read_csv(runs, usecols=["world"]))
            tables = tables7to16.build(statistics.read(datasets), world)
            if name not in tables:
                known = ", ".join(["table4", "table5", *tables])
                raise ResultsError(f"There is no table {name!r}; there are {known}.")
            table = tables[name]
    write(table, stem)


def _sizes(architectures: Mapping[str, Mapping[str, int]]) -> dict[str, ModelConfig]:
    return SIZES | {name: ModelConfig(**fields) for name, fields in architectures.items()}
