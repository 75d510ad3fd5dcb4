"""Copies the published vocabulary from its bucket."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.storage.store import fetch

    fetch(snakemake.params.location, Path(snakemake.output[0]))
