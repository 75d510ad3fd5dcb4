"""Joins the tables of the prompts' neighbours of all sizes, and finds each task's words."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with script_setup(snakemake):
    from promptscale.reporting import neighbour_lists, neighbour_words, neighbours

    summary = Path(snakemake.output.interpretability)
    neighbours.combine(list(map(Path, snakemake.input.summaries)), summary)
    listed = list(map(Path, snakemake.input.neighbours))
    words = Path(snakemake.output.domain_words)
    neighbour_words.combine(listed, neighbours.read(summary), words)
    length = snakemake.params.prompt_length
    neighbour_lists.combine(listed, length, Path(snakemake.output.neighbour_lists))
