"""The nearest neighbours of tuned prompts (section 7)."""

import pandas as pd

from promptscale.reporting.claims.evidence import AbsentError, Statistic
from promptscale.reporting.claims.quantities import Quantity
from promptscale.reporting.context import Context


def labels_persist(context: Context) -> Statistic:
    """Percent of label tokens that keep their label, less that of uniform initialisation."""
    rows = context.neighbours
    rows = rows[rows["labels"] > 0]
    share = rows.assign(share=100 * rows["labels_persisting"] / rows["labels"])
    return _difference(share, "share", "class_label", "random_uniform")


def clusters_are_tight(context: Context) -> Statistic:
    """The mean cosine between neighbours of a prompt token, less that of random vectors."""
    rows = context.neighbours
    rows = rows[rows["initialization"] == context.default["initialization"]]
    rows = rows.melt(["seed"], ["cohesion", "cohesion_random"], "initialization")
    return _difference(rows, "value", "cohesion", "cohesion_random")


def labels_are_spread(context: Context) -> Statistic:
    """Prompt tokens near a label, mean over other starts, less those with class labels."""
    rows = context.neighbours.dropna(subset="rows_per_label")
    other = rows["initialization"].where(rows["initialization"] == "class_label", "other")
    return _difference(rows.assign(initialization=other), "rows_per_label", "other", "class_label")


def neighbours_are_shared(context: Context) -> Statistic:
    """Percent of tokens whose nearest neighbour is another token's too, less the random share."""
    rows = context.neighbours
    rows = rows[rows["initialization"] == context.default["initialization"]]
    rows = rows.melt(["seed"], ["duplicates", "duplicates_random"], "initialization")
    shares = rows.assign(value=100 * rows["value"])
    return _difference(shares, "value", "duplicates", "duplicates_random")


def _difference(rows: pd.DataFrame, column: str, arm: str, control: str) -> Statistic:
    """The mean of a column by seed: the rows of `arm` less those of `control`."""
    table = rows.pivot_table(index="seed", columns="initialization", values=column)
    if not {arm, control} <= set(table):
        raise AbsentError
    difference = (table[arm] - table[control]).dropna()
    if difference.empty:
        raise AbsentError
    return Statistic([Quantity({"difference": 1.0})], {"difference": difference.to_numpy()})
