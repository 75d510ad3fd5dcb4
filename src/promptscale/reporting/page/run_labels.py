"""How the page names and orders runs in its menus and legends."""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from promptscale.reporting.context import Context


class RunLabel(NamedTuple):
    """What the page says about a run that is evaluated on a task.

    Attributes:
      place: what runs are sorted by: prompt tuning, large models and the default setting first.
      group: its method and size, in words.
      setting: its setting, without what it shares with the default setting.
      seed: its seed.
    """

    place: tuple[Any, ...]
    group: str
    setting: str
    seed: int


def run_labels(context: Context) -> dict[tuple[str, str], RunLabel]:
    """The label of each run of the results, by the run's name and the evaluated task."""
    runs = context.runs.drop_duplicates(["run", "eval_task"])
    runs = runs.assign(is_default=context.has_default(runs))
    records: list[Any] = runs.to_dict("records")
    shared = {part for run in records if run["is_default"] for part in _setting(run).split("/")}
    return {
        (run["run"], run["eval_task"]): RunLabel(
            place=_place(run, context.num_parameters(run["size"])),
            group=f"{run['method'].replace('_', ' ')}, {run['size']}",
            setting=_label(run, shared),
            seed=run["seed"],
        )
        for run in records
    }


def _setting(run: Mapping[str, Any]) -> str:
    """The part of a run's name that stands between its size and its task."""
    start, end = f"{run['method']}/{run['size']}/", f"/seed_{run['seed']}"
    return run["run"].removeprefix(start).removesuffix(end).rpartition("/")[0]


def _label(run: Mapping[str, Any], shared: Collection[str]) -> str:
    """The parts of a setting that are not `shared` by the default setting."""
    parts = _setting(run).split("/")
    special = [_ending(part, shared) for part in parts if part not in shared] or parts
    label = f"default ({', '.join(parts)})" if run["is_default"] else ", ".join(special)
    tuned = "" if run["task"] == run["eval_task"] else f", tuned on {run['task']}"
    return label + tuned


def _ending(part: str, shared: Collection[str]) -> str:
    """What follows in a part after a part of the default setting: `sentinel`; else all of it."""
    for start in shared:
        if part.startswith(f"{start}-"):
            return part.removeprefix(f"{start}-")
    return part


def _place(run: Mapping[str, Any], parameters: int) -> tuple[Any, ...]:
    others = run["method"] != "prompt_tuning"
    # Numbers in a name count as numbers: length_5 stands before length_10.
    natural = [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", run["run"])]
    return others, run["method"], -parameters, not run["is_default"], natural
