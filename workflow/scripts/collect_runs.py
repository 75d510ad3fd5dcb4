"""All runs in one tidy table."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.scripting import script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.results import read_runs, write_runs

    write_runs(map(read_runs, map(Path, snakemake.input)), Path(snakemake.output[0]))
