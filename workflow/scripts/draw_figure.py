"""Draws a figure as PDF and PNG, and writes its numbers as CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.reporting.report import draw_figure

    draw_figure(
        snakemake.wildcards.figure,
        runs=Path(snakemake.input.runs),
        majority=Path(snakemake.input.majority),
        default=snakemake.params.default,
        architectures=snakemake.params.architectures,
        stem=Path(snakemake.output[0]).with_suffix(""),
    )
