"""From the tables of results to the paper's figures, tables and claims, by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.errors import ResultsError
from promptscale.reporting import claims, neighbours
from promptscale.reporting.figures import figure1, figure3, figure4, style
from promptscale.reporting.runs_table import PromptSetting, one_world, read_runs
from promptscale.reporting.tables import (
    dataset_statistics,
    table1,
    table2,
    table3,
    table4,
    table5,
    table6,
    tables7to16,
)
from promptscale.reporting.tables import interpretability as interpretability_table
from promptscale.reporting.tables import serving as serving_table
from promptscale.reporting.tables.table import Table, write


def draw_figure(
    name: str,
    runs: Path,
    majority: Path,
    default: Mapping[str, Any],
    architectures: Mapping[str, Mapping[str, int]],
    stem: Path,
) -> None:
    """Draws the figure called `name` (`figure1`, `figure3`, `figure3a`, ...) to STEM.{pdf,png,csv}.

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
    sizes, setting = _sizes(architectures), PromptSetting(**default)
    panels = list(figure3.PANELS) if name == "figure3" else [name.removeprefix("figure3")]
    if name == "figure1":
        data = figure1.data(read_runs(runs), setting, architectures=sizes)
        floors = pd.read_csv(majority, index_col="task")["score"]
        figure = figure1.draw(data, float(floors[data["tasks"].iloc[0].split()].mean()))
    elif name == "figure4":
        data = figure4.data()
        figure = figure4.draw(data)
    elif set(panels) <= set(figure3.PANELS):
        data = figure3.data(read_runs(runs), setting, panels, architectures=sizes)
        figure = figure3.draw(data)
    else:
        raise ResultsError(
            f"There is no figure {name!r}; there are figure1, figure3, figure3a to figure3d and "
            "figure4."
        )
    style.save(figure, data, stem)


def write_table(
    name: str,
    tables: Mapping[str, Path],
    default: Mapping[str, Any],
    architectures: Mapping[str, Mapping[str, int]],
    stem: Path,
) -> None:
    """Writes the table called `name` to STEM.{csv,md,tex}.

    Args:
      name: `table1` to `table16`, `interpretability` or `serving`.
      tables: the tidy tables by name; `runs` and `datasets`, and for some tables their own.
      default: as `draw_figure`'s.
      architectures: as `draw_figure`'s.
      stem: the output paths without their suffixes.
    Raises:
      ResultsError: no such table, or the results lack what it shows.
    """
    sizes, setting = _sizes(architectures), PromptSetting(**default)

    def runs() -> pd.DataFrame:
        return read_runs(tables["runs"])

    builders: dict[str, Callable[[], Table]] = {
        "table1": lambda: table1.build(runs(), setting, sizes),
        "table2": lambda: table2.build(runs(), setting, sizes),
        "table3": lambda: table3.build(runs(), setting, sizes),
        "table4": table4.build,
        "table5": lambda: table5.build(runs(), setting, architectures=sizes),
        "table6": lambda: table6.build(pd.read_csv(tables["trials"])),
        "interpretability": lambda: interpretability_table.build(
            neighbours.read(tables["interpretability"]), sizes
        ),
        "serving": lambda: serving_table.build(pd.read_csv(tables["serving"])),
    }
    if name in builders:
        table = builders[name]()
    else:
        world = one_world(pd.read_csv(tables["runs"], usecols=["world"]))
        known = tables7to16.build(dataset_statistics.read(tables["datasets"]), world)
        if name not in known:
            raise ResultsError(
                f"There is no table {name!r}; there are {', '.join([*builders, *known])}."
            )
        table = known[name]
    write(table, stem)


def write_claims(
    runs: Path,
    interpreted: Path,
    default: Mapping[str, Any],
    architectures: Mapping[str, Mapping[str, int]],
    stem: Path,
) -> None:
    """Tests the paper's claims and writes STEM.{csv,md}; arguments as `draw_figure`'s.

    Raises:
      ResultsError: the results are not well-formed, or of several worlds.
    """
    table = read_runs(runs)
    found = claims.evaluate(
        table,
        neighbours.read(interpreted),
        PromptSetting(**default),
        _sizes(architectures),
    )
    claims.write(found, table["size"].nunique(), stem)


def _sizes(architectures: Mapping[str, Mapping[str, int]]) -> dict[str, ModelConfig]:
    return SIZES | {name: ModelConfig(**fields) for name, fields in architectures.items()}
