"""The results as claims see them: tables of mean scores, sizes in ascending order."""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from promptscale.config.sizes import ModelConfig
from promptscale.errors import ResultsError
from promptscale.reporting import runs_table
from promptscale.reporting.figures import figure3, scores


class AbsentError(Exception):
    """The runs of a claim are not there."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The results of one world, and what is needed to read them (see `claims.evaluate`)."""

    runs: pd.DataFrame
    interpretability: pd.DataFrame | None
    default: runs_table.PromptSetting
    architectures: Mapping[str, ModelConfig]

    @property
    def scores(self) -> pd.DataFrame:
        """The selected score of every run and evaluated task."""
        return runs_table.selected_scores(self.runs)

    @property
    def largest(self) -> str:
        """The size for which the paper's XXL stands."""
        return runs_table.largest(self.runs["size"], self.architectures)

    def means(self, rows: pd.DataFrame, curve: str) -> pd.DataFrame:
        """As `figures.scores.by_size`, of runs that may be absent.

        Raises:
          AbsentError: there are none, or they have nothing in common.
        """
        if rows.empty:
            raise AbsentError
        try:
            return scores.by_size(rows, curve, None, self.architectures)
        except ResultsError:
            raise AbsentError from None

    def methods(self, *names: str) -> list[pd.DataFrame]:
        """Scores of each method, prompt tuning in the default setting: index seed, columns sizes.

        Raises:
          AbsentError: as `compared`.
        """
        kept = self.scores
        kept = kept[
            (kept["method"] != "prompt_tuning") | runs_table.has_setting(kept, self.default)
        ]
        return self.compared(_wide(self.means(kept[kept["method"].isin(names)], "method")), names)

    def panel(self, letter: str) -> pd.DataFrame:
        """Scores of a panel of Figure 3 at the sizes of all curves: index curve and seed.

        Raises:
          AbsentError: there is one curve at most, or the largest size or any other is not there.
        """
        rows = figure3.shown(self.scores, letter, self.default)
        if rows["curve"].nunique() < 2:
            raise AbsentError
        return self._of_several_sizes(_wide(self.means(rows, "curve")))

    def compared(self, table: pd.DataFrame, names: Sequence[str]) -> list[pd.DataFrame]:
        """The curves `names` of a table, at the sizes that all of them have.

        Raises:
          AbsentError: a curve is not there, or the largest size or any other.
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
    return means.pivot_table(index=[means.columns[0], "seed"], columns="size", values="score")[
        order
    ]
