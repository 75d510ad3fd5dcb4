"""The corpus for pre-training and LM adaptation, as token arrays."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.scripting import script, source_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script(snakemake):
    from promptscale.data.prepare import prepare_text
    from promptscale.data.vocabulary import Vocabulary

    prepare_text(
        snakemake.params.corpus,
        "train",
        source_of(snakemake),
        Vocabulary(Path(snakemake.input.vocabulary)),
        Path(snakemake.output[0]),
    )
