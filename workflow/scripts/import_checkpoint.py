"""Checks that a published checkpoint has every array, and writes down where it is."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.checkpoints.pointer import write_pointer
    from promptscale.checkpoints.read import check_checkpoint
    from promptscale.config.sizes import ModelConfig
    from promptscale.model import parameter_shapes

    expected = parameter_shapes(ModelConfig(**snakemake.params.architecture))
    location, resources = snakemake.params.location, snakemake.resources
    check_checkpoint(location, expected, with_optimizer=bool(resources.restored_accumulators))
    write_pointer(location, snakemake.params.files, Path(snakemake.output.pointer))
