"""Table 4: parameters of the prompt and of the whole model, beside the paper's numbers."""

import pandas as pd

from promptscale.config.sizes import parameter_counts
from promptscale.reporting import paper
from promptscale.reporting.tables.table import DAGGER, Cell, Table, shown

MEASURES = ("trainable", "total", "percent")
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


def build() -> Table:
    """The table: our numbers, the paper's, and a dagger at each of its misprints."""
    misprints = paper.errata("table4")
    rows = []
    for row in compare().to_dict("records"):
        name = f"{row['size']} {row['prompt_length']}"
        printed = [_cell(measure, row[f"{measure}_paper"]) for measure in MEASURES]
        for place, measure in enumerate(MEASURES):
            if (name, measure) in misprints:
                printed[place] = f"{shown(printed[place])}{DAGGER}"
        ours = [_cell(measure, row[measure]) for measure in MEASURES]
        rows.append((_TITLES[row["size"]], row["prompt_length"], *ours, *printed))
    notes = []
    for (name, measure), misprint in misprints.items():
        size, length = name.split()
        wrong, right = (shown(_cell(measure, misprint[key])) for key in ("printed", "correct"))
        notes.append(
            f"{DAGGER} {_TITLES[size]}, {length} tokens, {measure}: the paper prints {wrong}, "
            f"right is {right} ({misprint['why']})."
        )
    return Table(
        number=4,
        title="Number of parameters used for various prompt lengths and T5 model sizes",
        columns=(
            "T5 Size", "Prompt Length", "Trainable Parameters", "Total Parameters",
            "Percent Trainable", "Trainable (paper)", "Total (paper)", "Percent (paper)",
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )  # fmt: skip


def _cell(measure: str, value: str | int | float) -> Cell:
    return f"{float(value):.5f}%" if measure == "percent" else int(value)
