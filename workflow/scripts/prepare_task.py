"""Prepares a split of a task: from TFDS through seqio to token arrays."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.config.schema import Data
    from promptscale.config.tasks import task
    from promptscale.data.raw.prepare import prepare
    from promptscale.data.vocabulary import Vocabulary

    data = Data.model_validate(snakemake.config["data"])
    prepare(
        task(snakemake.wildcards.task),
        snakemake.wildcards.split,
        data.model_copy(update={"data_dir": snakemake.resources.data_dir}),
        Vocabulary(Path(snakemake.input.vocabulary)),
        Path(snakemake.output.tokens).with_suffix(""),
    )
