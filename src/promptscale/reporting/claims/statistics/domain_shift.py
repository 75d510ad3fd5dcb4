"""Zero-shot transfer to other domains (section 5, Tables 1 and 2).

Sets on which neither method beats the best constant answer are left out: nothing was transferred.
"""

import numpy as np

from promptscale.reporting import paper
from promptscale.reporting.claims.evidence import AbsentError, Statistic
from promptscale.reporting.claims.intervals import Samples
from promptscale.reporting.claims.quantities import Cell, Quantity, average
from promptscale.reporting.context import Context

_METHODS = ("prompt_tuning", "model_tuning")

Pair = tuple[str, str]  # the task trained on, and the set evaluated on


def prompts_shift_better(context: Context) -> Statistic:
    """Prompt tuning less model tuning, mean over the shifted sets."""
    samples, pairs = _shifted(context)
    if not pairs:
        return Statistic([], samples, testable=False)
    return Statistic([average(map(_gain, pairs))], samples)


def larger_shift_larger_gain(context: Context) -> Statistic:
    """The gain of prompts on sets of other domains than SQuAD's, less that on sets of its domain.

    The domains are those that Table 1 prints.
    """
    samples, pairs = _shifted(context)
    domains = paper.numbers("table1").set_index("task")["domain"]
    pairs = [pair for pair in pairs if pair[1] in domains]
    near = [_gain(pair) for pair in pairs if domains[pair[1]] == domains["squad"]]
    far = [_gain(pair) for pair in pairs if domains[pair[1]] != domains["squad"]]
    if not near or not far:
        return Statistic([], samples, testable=False)
    return Statistic([average(far) - average(near)], samples)


def _gain(pair: Pair) -> Quantity:
    return Quantity({("prompt_tuning", *pair): 1.0, ("model_tuning", *pair): -1.0})


def _shifted(context: Context) -> tuple[Samples, list[Pair]]:
    """The scores by method, task and set at the largest size, and the sets that can be compared.

    Raises:
      AbsentError: no set was evaluated with both methods.
    """
    scores = context.scores
    rows = scores[(scores["method"] == "model_tuning") | context.has_default(scores)]
    rows = rows[rows["task"] != rows["eval_task"]]
    if set(rows["method"]) != set(_METHODS):
        raise AbsentError
    rows = rows[rows["size"] == context.largest(rows["size"])]
    samples: dict[Cell, np.ndarray] = {}
    pairs: list[Pair] = []
    for task, shifted in sorted(set(zip(rows["task"], rows["eval_task"], strict=True))):
        group = rows[(rows["task"] == task) & (rows["eval_task"] == shifted)]
        if set(group["method"]) == set(_METHODS):
            pairs.append((task, shifted))
            for method in _METHODS:
                values = group.loc[group["method"] == method, "score"]
                samples[method, task, shifted] = values.to_numpy()
    if not pairs:
        raise AbsentError
    beaten = [
        (task, shifted)
        for task, shifted in pairs
        if max(samples[method, task, shifted].mean() for method in _METHODS)
        > context.majority[shifted]
    ]
    return samples, beaten
