"""Joins the results of all jobs in a tidy table."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.reporting.runs_table import read_runs, write_runs

    write_runs(map(read_runs, map(Path, snakemake.input)), Path(snakemake.output[0]))
