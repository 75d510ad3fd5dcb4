"""The numbers in the paper's text that follow from the architectures, beside the paper's words."""

import math

from promptscale.config.settings import PromptTuning
from promptscale.config.sizes import PAPER_SIZES, parameter_counts
from promptscale.reporting import paper
from promptscale.reporting.context import Context
from promptscale.reporting.parameter_counts import task_parameters
from promptscale.reporting.tables.table import Cell, Table

_FLOAT = 4  # bytes of a float32
_NOTE = "Shares are of frozen plus task parameters, as in Table 4."


def computed() -> dict[str, Cell]:
    """Computes the numbers by their names in `paper/text_numbers.csv`.

    Numbers of parameters are whole numbers. Ratios, percentages and GiB are texts that are rounded
    to the precision that the paper's words need.
    """
    models = {size: config.num_parameters for size, config in PAPER_SIZES.items()}
    length = PromptTuning.model_fields["prompt_length"].default
    short, default = (parameter_counts("xxl", tokens)["trainable"] for tokens in (5, length))
    gpt3 = paper.gpt3_scores().set_index("size")["parameters"]
    above_a_billion = [size for size, count in models.items() if count > 1e9]
    prompts = [parameter_counts(size, length)["percent"] for size in above_a_billion]
    shares = task_parameters().groupby(["method", "size"])["percent"].mean()
    prefix, warp = shares["prefix_tuning"], shares["warp"]
    return {
        "copy": models["xxl"],
        "short_prompt": int(short),
        "orders": f"{math.log10(models['xxl'] / short):.1f}",
        "fewer": f"{models['xxl'] / default:,.0f}",
        "small_gpt3": f"{gpt3['1.3B'] / models['small']:.1f}",
        "large_gpt3": f"{gpt3['175B'] / models['large']:.0f}",
        "xxl_gpt3": f"{gpt3['175B'] / models['xxl']:.1f}",
        "gib": f"{_FLOAT * models['xxl'] / 2**30:.2f} GiB",
        "billion": f"{max(prompts):.4f}%",
        "prefix": f"{prefix.min():.2f}–{prefix.max():.2f}%",
        "warp": f"{warp.max():.3f}%",
    }


def build(context: Context) -> Table:
    """The table: the paper's words and our numbers; it needs no runs. Its notes are the errata."""
    values = computed()
    records: list[dict[str, Cell]] = [
        {
            "Section": row["section"],
            "Quantity": row["quantity"],
            "Paper": row["printed"],
            "Computed": values[row["name"]],
        }
        for row in paper.numbers("text_numbers").to_dict("records")
    ]
    errata = [erratum["note"] for erratum in paper.errata("text").values()]
    title = "Numbers in the paper's text, computed from the architectures"
    return Table(title=title, records=records, notes=(_NOTE, *errata))
