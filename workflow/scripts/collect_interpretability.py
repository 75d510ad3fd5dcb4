"""Joins the tables of the prompts' neighbours of all sizes."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.neighbours import combine

    combine(list(map(Path, snakemake.input)), Path(snakemake.output[0]))
