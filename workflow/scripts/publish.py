"""Packs the tidy tables for publication."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting.bundle import publish

    publish(
        Path(snakemake.output[0]).parent,
        {name: Path(path) for name, path in snakemake.input.items() if path},
        snakemake.params.configuration,
    )
