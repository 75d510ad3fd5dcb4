"""Joins the results of all jobs in a tidy table."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.runs_table import read_runs, write_runs

    default = snakemake.params.default
    parts = (read_runs(Path(path), default) for path in snakemake.input)
    write_runs(parts, Path(snakemake.output[0]))
