"""Draws a figure as PDF and PNG, and writes its numbers as CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.context import Context
    from promptscale.reporting.figures.registry import draw_figure

    context = Context.of(dict(snakemake.input.items()), **snakemake.params.reporting)
    draw_figure(snakemake.wildcards.figure, context, Path(snakemake.output[0]).with_suffix(""))
