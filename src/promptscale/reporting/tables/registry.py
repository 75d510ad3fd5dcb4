"""All tables by name."""

import functools
from collections.abc import Callable
from pathlib import Path

from promptscale.errors import ResultsError
from promptscale.reporting.context import Context
from promptscale.reporting.tables import (
    domain_shift,
    domain_words,
    error_modes,
    neighbours,
    published_prompts,
    scores,
    table3,
    table4,
    table5,
    table6,
    tables7to16,
    text_numbers,
    throughput,
)
from promptscale.reporting.tables.table import Table, write

BUILDERS: dict[str, Callable[[Context], Table]] = {
    "scores": scores.build,
    "table1": domain_shift.table1,
    "table2": domain_shift.table2,
    "table3": table3.build,
    "table4": table4.build,
    "table5": table5.build,
    "table6": table6.build,
    "table7": tables7to16.sizes,
    **{f"table{n}": functools.partial(tables7to16.labels, number=n) for n in range(8, 17)},
    "domain_words": domain_words.build,
    "error_modes": error_modes.build,
    "interpretability": neighbours.build,
    "serving": throughput.build,
    "published_prompts": published_prompts.build,
    "text_numbers": text_numbers.build,
}


def write_table(name: str, context: Context, stem: Path) -> None:
    """Writes the table called `name` to STEM.csv, STEM.md and STEM.tex.

    Raises:
      ResultsError: no such table, or the results lack runs that it shows.
    """
    if name not in BUILDERS:
        raise ResultsError(f"There is no table {name!r}; there are {', '.join(BUILDERS)}.")
    write(BUILDERS[name](context), stem)
