"""The table of section 7: the neighbours of tuned prompts in the frozen vocabulary."""

from collections.abc import Mapping

import pandas as pd

from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.reporting.runs_table import num_parameters
from promptscale.reporting.tables.cells import spread, titled
from promptscale.reporting.tables.table import Table

_TITLES = {
    "class_label": "Class Label",
    "sampled_vocab": "Sampled Vocab",
    "random_uniform": "Random Uniform",
}
_TITLE = "Nearest neighbours of tuned prompts, mean ± sd over prompts"
_NOTES = (
    (
        "Neighbours: the five tokens of highest cosine; special tokens, sentinels and unused rows "
        "are no neighbours."
    ),
    (
        "Labels kept: class labels among the neighbours of the prompt token that class-label "
        "initialisation starts with them; for other initialisations this is the control. Found: "
        "labels among the neighbours of any token, and of how many tokens each."
    ),
    (
        "Shared: tokens whose nearest neighbour is another token's too. Cohesion: mean cosine "
        "between the neighbours of one token; random: the same for random vectors of the "
        "embedding's spread."
    ),
)


def build(summary: pd.DataFrame, architectures: Mapping[str, ModelConfig] = SIZES) -> Table:
    """The table by size and initialisation, mean and sd over prompts (tasks and seeds).

    Args:
      summary: rows of `reporting.neighbours.read`.
      architectures: the architecture of every size.
    Raises:
      ResultsError: prompts of several origins or labels.
    """
    counts = {size: num_parameters(size, architectures) for size in set(summary["size"])}
    order = {method: place for place, method in enumerate(_TITLES)}
    frame = summary.assign(
        parameters=summary["size"].map(counts),
        order=summary["initialization"].map(lambda method: order.get(method, len(order))),
        persisting=100 * summary["labels_persisting"] / summary["labels"],
        near=100 * summary["labels_found"] / summary["labels"],
        shared=100 * summary["duplicates"],
    )
    rows = []
    for (_, _, size, method), part in frame.groupby(
        ["parameters", "order", "size", "initialization"], sort=True
    ):
        rows.append((
            str(size),
            _TITLES.get(str(method), str(method)),
            spread(part["persisting"], 1),
            spread(part["near"], 1),
            spread(part["rows_per_label"], 1),
            spread(part["shared"], 1),
            spread(part["cohesion"], 2),
            f"{part['cohesion_random'].mean():.2f}",
            len(part),
        ))  # fmt: skip
    return Table(
        title=titled(_TITLE, summary, architectures),
        columns=(
            "Size", "Initialisation", "Labels kept (%)", "Labels found (%)", "Tokens per label",
            "Shared (%)", "Cohesion", "Random", "n",
        ),
        rows=tuple(rows),
        notes=_NOTES,
    )  # fmt: skip
