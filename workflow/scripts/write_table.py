"""One table as CSV, Markdown and LaTeX."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.report import write_table

    write_table(
        snakemake.wildcards.table,
        {name: Path(path) for name, path in snakemake.input.items()},
        default=snakemake.params.default,
        architectures=snakemake.params.architectures,
        stem=Path(snakemake.output[0]).with_suffix(""),
    )
