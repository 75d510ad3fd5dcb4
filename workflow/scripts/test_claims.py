"""The paper's claims as tests on the results."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.report import write_claims

    write_claims(
        Path(snakemake.input.runs),
        Path(snakemake.input.interpretability),
        default=snakemake.params.default,
        architectures=snakemake.params.architectures,
        stem=Path(snakemake.output[0]).with_suffix(""),
    )
