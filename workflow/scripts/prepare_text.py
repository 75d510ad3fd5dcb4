"""Prepares a slice of the corpus for language modeling as token arrays."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.config.schema import Data
    from promptscale.data.raw.prepare_text import prepare_text
    from promptscale.data.vocabulary import Vocabulary

    data = Data.model_validate(snakemake.config["data"])
    prepare_text(
        snakemake.params.corpus,
        "train",
        data.model_copy(update={"data_dir": snakemake.resources.data_dir}),
        Vocabulary(Path(snakemake.input.vocabulary)),
        Path(snakemake.output[0]),
        shard=int(snakemake.wildcards.shard),
        num_shards=snakemake.params.shards,
    )
