"""The results that claims are tested on: tables of mean scores, sizes in ascending order."""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from promptscale.config.axes import Row
from promptscale.config.sizes import ModelConfig
from promptscale.errors import ResultsError
from promptscale.reporting import runs_table
from promptscale.reporting.comparisons import along_axis, by_size


class AbsentError(Exception):
    """The results lack the runs of a claim."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The results that claims are tested on; see `claims.evaluate` for the fields."""

    runs: pd.DataFrame
    neighbours: pd.DataFrame | None
    default: Row
    architectures: Mapping[str, ModelConfig]

    @property
    def scores(self) -> pd.DataFrame:
        """The selected score of every run and evaluated task."""
        return runs_table.selected_scores(self.runs)

    @property
    def largest(self) -> str:
        """The largest size, which stands for the paper's XXL."""
        return runs_table.largest(self.runs["size"], self.architectures)

    def means(self, rows: pd.DataFrame, curve: str) -> pd.DataFrame:
        """The mean scores of `comparisons.by_size`.

        Raises:
          AbsentError: there are no rows, or they have no task or seed in common.
        """
        if rows.empty:
            raise AbsentError
        try:
            return by_size(rows, curve, self.architectures)
        except ResultsError:
            raise AbsentError from None

    def methods(self, *names: str) -> list[pd.DataFrame]:
        """Scores of each method, prompt tuning in the default setting: index seed, columns sizes.

        Raises:
          AbsentError: the results lack a method, the largest size, or a second size.
        """
        scores = self.scores
        wanted = scores["method"].isin(set(names) - {"prompt_tuning"})
        if "prompt_tuning" in names:
            wanted |= runs_table.has_setting(scores, self.default)
        return self.compared(_wide(self.means(scores[wanted], "method")), names)

    def along(self, axis: str) -> pd.DataFrame:
        """Scores along an ablation axis at the sizes of all curves: index curve and seed.

        Raises:
          AbsentError: the results lack a second curve, the largest size, or a second size.
        """
        rows = along_axis(self.scores, axis, self.default)
        if rows["curve"].nunique() < 2:
            raise AbsentError
        return self._of_several_sizes(_wide(self.means(rows, "curve")))

    def compared(self, table: pd.DataFrame, names: Sequence[str]) -> list[pd.DataFrame]:
        """The curves `names` of a table, at the sizes that all of them have.

        Raises:
          AbsentError: the table lacks a curve, the largest size, or a second size.
        """
        if not set(names) <= set(table.index.get_level_values(0)):
            raise AbsentError
        picked = self._of_several_sizes(table.loc[list(names)])
        return [pd.DataFrame(picked.loc[name]) for name in names]

    def _of_several_sizes(self, table: pd.DataFrame) -> pd.DataFrame:
        table = table.dropna(axis=1)
        if table.shape[1] < 2 or table.columns[-1] != self.largest:
            raise AbsentError
        return table


def _wide(means: pd.DataFrame) -> pd.DataFrame:
    """Index curve and seed, columns the sizes, smallest first."""
    order = list(dict.fromkeys(means.sort_values("parameters")["size"]))
    table = means.pivot_table(index=[means.columns[0], "seed"], columns="size", values="score")
    return table[order]
