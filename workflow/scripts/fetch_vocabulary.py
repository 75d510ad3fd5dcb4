"""Copies the vocabulary, a local file or a file in a bucket, to the results."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.storage.store import fetch

    fetch(snakemake.resources.location, Path(snakemake.output[0]))
