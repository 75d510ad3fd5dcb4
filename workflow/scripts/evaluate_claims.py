"""Evaluates the paper's claims on the results."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.claims import write_claims
    from promptscale.reporting.context import Context

    context = Context.of(dict(snakemake.input.items()), **snakemake.params.reporting)
    write_claims(context, Path(snakemake.output[0]).with_suffix(""))
