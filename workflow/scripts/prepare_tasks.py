"""Prepares splits of tasks: from TFDS through seqio to token arrays."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.config.schema import Data
    from promptscale.data.raw.prepare_tasks import prepare_all
    from promptscale.data.vocabulary import Vocabulary

    data = Data.model_validate(snakemake.config["data"])
    prepare_all(
        [Path(tokens).with_suffix("") for tokens in snakemake.output.tokens],
        data.model_copy(update={"data_dir": snakemake.resources.data_dir}),
        Vocabulary(Path(snakemake.input.vocabulary)),
    )
