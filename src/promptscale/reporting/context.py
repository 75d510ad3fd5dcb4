"""What figures, tables and claims are made from: the tidy tables and how to read them."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from promptscale.config.axes import Row
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.errors import ResultsError
from promptscale.reporting import neighbours
from promptscale.reporting.runs_table import read_runs


@dataclasses.dataclass(frozen=True)
class Context:
    """The results of an experiment.

    Attributes:
      tables: the paths of the tidy tables by name: `runs`, `majority`, `datasets`, `trials`,
        `interpretability`, `serving`; each builder reads the tables that it needs.
      default: the description of the default setting of prompt tuning (`axes.describe`).
      architectures: the architecture of every size.
      convergence_task: the task of Table 5.
    """

    tables: Mapping[str, Path]
    default: Row
    architectures: Mapping[str, ModelConfig]
    convergence_task: str = "boolq"

    @classmethod
    def of(
        cls,
        tables: Mapping[str, str | Path],
        default: Row,
        architectures: Mapping[str, Mapping[str, int]],
        convergence_task: str = "boolq",
    ) -> "Context":
        """A context from plain data; `architectures` are those that are not built in."""
        further = {name: ModelConfig(**fields) for name, fields in architectures.items()}
        paths = {name: Path(path) for name, path in tables.items()}
        return cls(paths, default, SIZES | further, convergence_task)

    @functools.cached_property
    def runs(self) -> pd.DataFrame:
        """The rows of `runs.csv`."""
        return read_runs(self.path("runs"), self.default)

    @functools.cached_property
    def neighbours(self) -> pd.DataFrame:
        """The rows of `interpretability.csv`."""
        return neighbours.read(self.path("interpretability"))

    def path(self, name: str) -> Path:
        """The path of a tidy table.

        Raises:
          ResultsError: the context has no such table.
        """
        if name not in self.tables:
            raise ResultsError(f"The table {name!r} is needed; there are {', '.join(self.tables)}.")
        return self.tables[name]
