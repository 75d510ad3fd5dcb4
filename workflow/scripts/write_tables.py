"""Writes tables as CSV, Markdown and LaTeX."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.context import Context
    from promptscale.reporting.tables.registry import write_table

    context = Context.of(dict(snakemake.input.items()), **snakemake.params.reporting)
    for stem in dict.fromkeys(Path(path).with_suffix("") for path in snakemake.output):
        write_table(stem.name, context, stem)
