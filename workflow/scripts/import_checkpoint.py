"""Checks that a published checkpoint has every array, and writes down where it is."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.checkpoints.load import check, point_to
    from promptscale.config.sizes import ModelConfig
    from promptscale.model import parameter_shapes

    expected = parameter_shapes(ModelConfig(**snakemake.params.architecture))
    check(snakemake.params.location, expected)
    point_to(snakemake.params.location, Path(snakemake.output.pointer))
