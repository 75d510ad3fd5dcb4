"""All runs in one tidy table."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.runs_table import read_runs, write_runs

    write_runs(map(read_runs, map(Path, snakemake.input)), Path(snakemake.output[0]))
