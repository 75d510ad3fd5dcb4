"""Table 4: parameters of the prompt and of the whole model, beside the paper's numbers."""

import pandas as pd

from promptscale.config.sizes import parameter_counts
from promptscale.reporting import paper
from promptscale.reporting.context import Context
from promptscale.reporting.tables.cells import misprint_notes
from promptscale.reporting.tables.table import DAGGER, Cell, Table, shown

MEASURES = {
    "trainable": "Trainable Parameters",
    "total": "Total Parameters",
    "percent": "Percent Trainable",
}
_TITLES = {"small": "Small", "base": "Base", "large": "Large", "xl": "XL", "xxl": "XXL"}


def compare() -> pd.DataFrame:
    """Every row of the paper's Table 4, computed and printed.

    Returns:
      Columns `size`, `prompt_length`, and for each of `MEASURES` the computed value and, with the
      suffix `_paper`, the printed value. Percentages have the five decimals that the paper prints.
    """
    printed = paper.numbers("table4")
    keys = printed[["size", "prompt_length"]].itertuples(index=False)
    computed = pd.DataFrame([parameter_counts(size, int(length)) for size, length in keys])
    computed["percent"] = computed["percent"].round(5)
    return computed.merge(printed, on=["size", "prompt_length"], suffixes=("", "_paper"))


def build(context: Context) -> Table:
    """The table: our numbers beside the paper's, without runs; a dagger marks misprints."""
    misprints = paper.errata("table4")
    records: list[dict[str, Cell]] = []
    for row in compare().to_dict("records"):
        size, length = row["size"], row["prompt_length"]
        record = {"T5 Size": _TITLES[size], "Prompt Length": length}
        record |= {title: _cell(measure, row[measure]) for measure, title in MEASURES.items()}
        for measure in MEASURES:
            printed = _cell(measure, row[f"{measure}_paper"])
            misprinted = (f"{size} {length}", measure) in misprints
            title = f"{measure.title()} (paper)"
            record[title] = f"{shown(printed)}{DAGGER}" if misprinted else printed
        records.append(record)
    return Table(
        number=4,
        title="Number of parameters used for various prompt lengths and T5 model sizes",
        records=records,
        notes=misprint_notes(misprints),
    )


def _cell(measure: str, value: int | float) -> Cell:
    return f"{value:.5f}%" if measure == "percent" else int(value)
