"""Writes the sum of the sums of other jobs."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

assert all((Path(part) / "deep" / "first.txt").read_text() == "1" for part in snakemake.input.parts)
total = sum(int(Path(path).read_text()) for path in snakemake.input.sums)
Path(snakemake.output[0]).write_text(f"{total}\n")
