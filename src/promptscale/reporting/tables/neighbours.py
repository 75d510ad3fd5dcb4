"""The table of section 7: the neighbours of tuned prompts in the frozen vocabulary."""

from promptscale.reporting.context import Context
from promptscale.reporting.tables.cells import spread
from promptscale.reporting.tables.table import Cell, Table

_TITLES = {
    "class_label": "Class Label",
    "sampled_vocab": "Sampled Vocab",
    "random_uniform": "Random Uniform",
}
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
        "between the neighbours of a token. Random: the same for as many random vectors of the "
        "embedding's spread."
    ),
)


def build(context: Context) -> Table:
    """The table by size, initialisation and prompt length, mean and sd over tasks and seeds.

    Raises:
      ResultsError: prompts of several origins or labels.
    """
    summary = context.interpretability
    order = [*_TITLES, *sorted({*summary["initialization"]} - {*_TITLES})]
    frame = summary.assign(
        parameters=summary["size"].map(context.num_parameters),
        order=summary["initialization"].map(order.index),
    )
    records: list[dict[str, Cell]] = []
    for _, part in frame.groupby(["parameters", "order", "size", "prompt_length"]):
        size, method, length = part[["size", "initialization", "prompt_length"]].iloc[0]
        records.append({
            "Size": size,
            "Initialisation": _TITLES.get(method, method),
            "Prompt Length": int(length),
            "Labels kept (%)": spread(100 * part["labels_persisting"] / part["labels"]),
            "Labels found (%)": spread(100 * part["labels_found"] / part["labels"]),
            "Tokens per label": spread(part["rows_per_label"]),
            "Shared (%)": spread(100 * part["duplicates"]),
            "Random, shared (%)": f"{100 * part['duplicates_random'].mean():.1f}",
            "Cohesion": spread(part["cohesion"], 2),
            "Random, cohesion": f"{part['cohesion_random'].mean():.2f}",
            "n": len(part),
        })  # fmt: skip
    title = "Nearest neighbours of tuned prompts, mean ± sd over prompts"
    return Table(title=f"{title}. {context.caption(summary)}", records=records, notes=_NOTES)
