"""One split of one task: from TFDS through seqio to token arrays."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.scripting import script, source_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.config.tasks import task
    from promptscale.data.prepare import prepare
    from promptscale.data.vocabulary import Vocabulary

    prepare(
        task(snakemake.wildcards.task),
        snakemake.wildcards.split,
        source_of(snakemake),
        Vocabulary(Path(snakemake.input.vocabulary)),
        Path(snakemake.output.tokens).with_suffix(""),
    )
