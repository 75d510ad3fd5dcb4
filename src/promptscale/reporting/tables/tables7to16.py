"""Tables 7-16: sizes of the splits and label distributions, beside the paper's numbers."""

import pandas as pd

from promptscale.config.tasks import TASKS
from promptscale.reporting import paper
from promptscale.reporting.provenance import Provenance
from promptscale.reporting.tables.table import DAGGER, DIFFERS, Cell, Table

_SPLITS = {"train": "Training", "validation": "Validation", "test": "Testing"}

_GENERATED = (
    "our rows are generated and not the published dataset; the paper's figures stand beside them "
    "for orientation."
)
_DIFFERS = f"{DIFFERS} differs from the paper."
_RECORD = (
    "ReCoRD: the paper counts queries; T5's text form, which we count, has one training example "
    "per correct answer."
)
_WSC = "WSC: training examples whose supplied referent is correct, as in the paper."


def build(statistics: pd.DataFrame, source: Provenance) -> dict[str, Table]:
    """All ten tables by name, `table7` to `table16`.

    Args:
      statistics: rows of `dataset_statistics.read`.
      source: the origin and label of our rows; differences are marked unless they are generated.
    """
    tables = {"table7": _sizes(statistics, source)}
    printed = paper.numbers("label_distributions")
    for number in printed["table"].unique().tolist():
        rows = printed[printed["table"] == number]
        tables[f"table{number}"] = _labels(number, rows, statistics, source)
    return tables


def _sizes(statistics: pd.DataFrame, source: Provenance) -> Table:
    """Table 7: examples of each split."""
    examples = statistics.groupby(["task", "split"])["examples"].first()
    rows, differs = [], set()
    for printed in paper.numbers("table7").to_dict("records"):
        name = printed["task"]
        ours: list[Cell] = []
        for split in _SPLITS:
            count = examples.get((name, split))
            expected = printed[split]
            if count is None or source.origin == "generated" or count == expected:
                ours.append(None if count is None else int(count))
            else:
                ours.append(f"{count:,}{DIFFERS}")
                differs.add(name)
        theirs = [None if pd.isna(printed[split]) else int(printed[split]) for split in _SPLITS]
        rows.append((TASKS[name].title, *ours, *theirs))
    notes = [_WSC]
    if "record" in differs:
        notes.append(_RECORD)
    return Table(
        number=7,
        title=_titled("Sizes of the splits of each dataset", source),
        columns=("Dataset", *_SPLITS.values(), *(f"{split} (paper)" for split in _SPLITS.values())),
        rows=tuple(rows),
        notes=(*notes, *_notes(source, bool(differs))),
    )


def _labels(
    number: int, printed: pd.DataFrame, statistics: pd.DataFrame, source: Provenance
) -> Table:
    """Tables 8-16: percent of each label, per split."""
    name = printed["task"].iloc[0]
    labels = list(dict.fromkeys(printed["label"]))
    misprints = paper.errata(f"table{number}")
    counts = statistics[statistics["task"] == name].set_index(["split", "label"])
    rows, differs = [], False
    for split in dict.fromkeys(printed["split"]):
        expected = printed[printed["split"] == split].set_index("label")["percent"]
        ours: list[Cell] = []
        theirs: list[Cell] = []
        for label in labels:
            misprint = misprints.get((split, label))
            theirs.append(f"{expected[label]:.1f}{DAGGER if misprint else ''}")
            share = _share(counts, split, label, labels)
            right = misprint["correct"] if misprint else f"{expected[label]:.1f}"
            wrong = share not in (None, right) and source.origin != "generated"
            ours.append(f"{share}{DIFFERS}" if wrong else share)
            differs |= wrong
        rows.append((_SPLITS[split], *ours, *theirs))
    notes = [
        f"{DAGGER} The paper prints {misprint['printed']} ({_SPLITS[split]}, {label}); right is "
        f"{misprint['correct']} ({misprint['why']})."
        for (split, label), misprint in misprints.items()
    ]
    title = f"Label distribution (percent) of {TASKS[name].title}"
    return Table(
        number=number,
        title=_titled(title, source),
        columns=("Split", *labels, *(f"{label} (paper)" for label in labels)),
        rows=tuple(rows),
        notes=(*notes, *_notes(source, differs)),
    )


def _share(counts: pd.DataFrame, split: str, label: str, labels: list[str]) -> str | None:
    """Percent of `label` among the labelled examples of a split; None where there are none."""
    known = [counts["count"].get((split, name), 0) for name in labels]
    total = sum(known)
    return f"{100 * known[labels.index(label)] / total:.1f}" if total else None


def _titled(title: str, source: Provenance) -> str:
    return (
        f"{title} ({source.label.lower()}: generated data)"
        if source.origin == "generated"
        else title
    )


def _notes(source: Provenance, differs: bool) -> tuple[str, ...]:
    if source.origin == "generated":
        return (f"{source.label}: {_GENERATED}",)
    return (_DIFFERS,) if differs else ()
