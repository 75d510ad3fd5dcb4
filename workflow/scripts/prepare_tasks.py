"""Prepares splits of tasks: from TFDS through seqio to token arrays."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.config.schema import Data
    from promptscale.config.tasks import task
    from promptscale.data.raw.prepare_tasks import prepare
    from promptscale.data.vocabulary import Vocabulary

    data = Data.model_validate(snakemake.config["data"])
    data = data.model_copy(update={"data_dir": snakemake.resources.data_dir})
    vocabulary = Vocabulary(Path(snakemake.input.vocabulary))
    for prefix in dict.fromkeys(Path(path).with_suffix("") for path in snakemake.output):
        prepare(task(prefix.parent.name), prefix.name, data, vocabulary, prefix)
