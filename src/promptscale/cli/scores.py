"""The command `scores`: dev scores of a table of runs."""

from pathlib import Path
from typing import Annotated

import typer

from promptscale.errors import ResultsError


def scores(
    runs: Annotated[
        Path, typer.Argument(help="A table of runs, or a folder of finished jobs.")
    ] = Path("results/runs.csv"),
) -> None:
    """Print the dev score of every setting: mean and standard deviation over seeds.

    The scores of the jobs that are done so far: promptscale scores results/runs
    """
    # Imported here, because pandas would delay the other commands.
    import pandas as pd

    from promptscale.reporting import provenance, runs_table

    files = sorted(runs.rglob("metrics.csv")) if runs.is_dir() else [runs]
    if not files:
        raise ResultsError(
            f"No job in the folder {runs} has a metrics.csv. Name the folder `runs` of results, or "
            "a table such as the runs.csv.gz of published results."
        )
    selected = runs_table.selected_scores(pd.concat(map(runs_table.read_runs, files)))
    caption = provenance.caption(selected)  # refuses results of several origins or labels
    setting = runs_table.setting_columns(selected)
    table = runs_table.aggregate(selected, setting).round(1).sort_values(setting)
    print(table.to_string(index=False, na_rep="-"))
    print(caption)
