"""Generates the miniature's datasets, in TFDS's format, and their vocabulary."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.data.raw.miniature.generate import generate

    data_dir, vocabulary = Path(snakemake.output.data_dir), Path(snakemake.output.vocabulary)
    generate(data_dir, vocabulary, seed=snakemake.params.seed)
