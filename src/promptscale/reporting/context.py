"""What figures, tables and claims are made from: the tidy tables and how to read them."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from promptscale.config.axes import Row
from promptscale.config.sizes import SIZES, ModelConfig, model_config
from promptscale.config.tasks import TASKS
from promptscale.errors import ResultsError
from promptscale.reporting import csv_schema, neighbours, provenance, runs_table
from promptscale.reporting.csv_schema import between, choice

_MAJORITY = pa.DataFrameSchema({"task": choice(TASKS), "score": between(0.0, 100.0)})


@dataclasses.dataclass(frozen=True)
class Context:
    """The results of an experiment.

    Attributes:
      tables: the paths of the tidy tables by name: `runs`, `majority`, `datasets`, `trials`,
        `interpretability`, `domain_words`, `error_modes`, `serving`; each builder reads the
        tables that it needs.
      default: the description of the default setting of prompt tuning (`axes.describe`).
      architectures: the architecture of every size.
      convergence_task: the task of Table 5.
      paper_curves: whether Figures 1 and 3 show the paper's curves beside results of other sizes.
    """

    tables: Mapping[str, Path]
    default: Row
    architectures: Mapping[str, ModelConfig] = dataclasses.field(default_factory=lambda: SIZES)
    convergence_task: str = "boolq"
    paper_curves: bool = False

    @classmethod
    def of(
        cls,
        tables: Mapping[str, str | Path],
        default: Row,
        architectures: Mapping[str, Mapping[str, int]],
        convergence_task: str = "boolq",
        paper_curves: bool = False,
    ) -> "Context":
        """A context from plain data; `architectures` are those that are not built in."""
        further = {name: ModelConfig(**fields) for name, fields in architectures.items()}
        paths = {name: Path(path) for name, path in tables.items()}
        return cls(paths, default, SIZES | further, convergence_task, paper_curves)

    @functools.cached_property
    def runs(self) -> pd.DataFrame:
        """The rows of `runs.csv`."""
        return runs_table.read_runs(self.path("runs"), self.default)

    @functools.cached_property
    def scores(self) -> pd.DataFrame:
        """The selected score of every run and evaluated task (`runs_table.selected_scores`)."""
        return runs_table.selected_scores(self.runs)

    @functools.cached_property
    def diverged(self) -> frozenset[str]:
        """The names of the runs that diverged."""
        return runs_table.diverged(self.runs)

    @functools.cached_property
    def interpretability(self) -> pd.DataFrame:
        """The rows of `interpretability.csv`, of all initialisations and prompt lengths."""
        return neighbours.read(self.path("interpretability"))

    @functools.cached_property
    def neighbours(self) -> pd.DataFrame:
        """The rows of `interpretability.csv` that have the default setting's prompt length."""
        rows = self.interpretability
        return rows[rows["prompt_length"] == self.default["prompt_length"]]

    @functools.cached_property
    def majority(self) -> pd.Series:
        """The score of the best constant answer by task."""
        return csv_schema.read(self.path("majority"), _MAJORITY, ["task"]).set_index("task")[
            "score"
        ]

    def path(self, name: str) -> Path:
        """The path of a tidy table.

        Raises:
          ResultsError: the context has no such table.
        """
        if name not in self.tables:
            raise ResultsError(f"The table {name!r} is needed; there are {', '.join(self.tables)}.")
        return self.tables[name]

    def num_parameters(self, size: str) -> int:
        """The number of parameters of the model called `size`."""
        return model_config(size, self.architectures).num_parameters

    def largest(self, sizes: Iterable[str]) -> str:
        """The size with the most parameters."""
        return max(set(sizes), key=self.num_parameters)

    def has_default(self, rows: pd.DataFrame, except_for: Sequence[str] = ()) -> pd.Series:
        """Which rows are prompt tuning in the default setting, except for some columns."""
        return runs_table.has_setting(rows, self.default, except_for)

    def is_papers(self, rows: pd.DataFrame) -> bool:
        """Whether results are of the paper's configuration (`provenance.is_papers`)."""
        return provenance.is_papers(rows, self.architectures)

    def shows_paper(self, rows: pd.DataFrame) -> bool:
        """Whether to show the paper's curves: with results of its configuration, or on request."""
        return self.paper_curves or self.is_papers(rows)

    def caption(self, rows: pd.DataFrame) -> str:
        """The sentence that says what results are of, and how many of their runs diverged.

        `rows` has the columns of `provenance.caption`, and `run` or the column `diverged` of
        `comparisons.by_size` if they are of runs.
        """
        names: set[str] = set(rows["run"]) & self.diverged if "run" in rows else set()
        if "diverged" in rows:
            names.update(*rows["diverged"].str.split())
        runs = f"{len(names)} run{'' if len(names) == 1 else 's'}"
        note = f"; {runs} diverged" if names else ""
        return provenance.caption(rows, self.architectures) + note
