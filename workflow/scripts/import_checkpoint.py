"""Bring a published checkpoint in, every array accounted for."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.scripting import script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.checkpoints.load import load
    from promptscale.checkpoints.t5x import write
    from promptscale.config.sizes import ModelConfig
    from promptscale.model import parameter_shapes

    expected = parameter_shapes(ModelConfig(**snakemake.params.architecture))
    write(Path(snakemake.output.model), load(snakemake.params.location, expected))
