"""Counts the prepared datasets: sizes, labels and scores of the majority class."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.experiments.dataset_statistics import write

    write(
        [Path(rows).with_suffix("") for rows in snakemake.input],
        Path(snakemake.output.datasets),
        Path(snakemake.output.majority),
    )
