"""One figure as PDF and PNG, and the numbers in it as CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.report import draw_figure

    draw_figure(
        snakemake.wildcards.figure,
        runs=Path(snakemake.input.runs),
        majority=Path(snakemake.input.majority),
        default=snakemake.params.default,
        architectures=snakemake.params.architectures,
        stem=Path(snakemake.output[0]).with_suffix(""),
    )
