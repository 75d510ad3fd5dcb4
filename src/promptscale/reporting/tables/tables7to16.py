"""Tables 7-16: sizes of the splits and label distributions, beside the paper's numbers."""

import pandas as pd

from promptscale.config.tasks import TASKS
from promptscale.reporting import csv_schema, paper
from promptscale.reporting.context import Context
from promptscale.reporting.provenance import Provenance, provenance
from promptscale.reporting.tables import dataset_statistics
from promptscale.reporting.tables.cells import misprint_notes
from promptscale.reporting.tables.table import DAGGER, DIFFERS, Cell, Table

_SPLITS = {"train": "Training", "validation": "Validation", "test": "Testing"}
_GENERATED = (
    "our rows are generated and not the published dataset; the paper's figures stand beside them "
    "for orientation."
)
_RECORD = (
    "ReCoRD: the paper counts queries; T5's text form, which we count, has one training example "
    "per correct answer."
)
_WSC = "WSC: training examples whose supplied referent is correct, as in the paper."


def sizes(context: Context) -> Table:
    """Table 7: examples of each split; differences are marked unless our rows are generated."""
    statistics, source = _read(context)
    examples = statistics.groupby(["task", "split"])["examples"].first()
    records, differs = [], set()
    for printed in paper.numbers("table7").to_dict("records"):
        task = printed["task"]
        record: dict[str, Cell] = {"Dataset": TASKS[task].title}
        for split, title in _SPLITS.items():
            count = examples.get((task, split))
            record[title] = None if count is None else int(count)
            if source.origin != "generated" and count not in (None, printed[split]):
                record[title] = f"{count:,}{DIFFERS}"
                differs.add(task)
        papers = {f"{title} (paper)": printed[split] for split, title in _SPLITS.items()}
        record |= {title: None if pd.isna(x) else int(x) for title, x in papers.items()}
        records.append(record)
    notes = [_WSC, _RECORD] if "record" in differs else [_WSC]
    return _table(7, "Sizes of the splits of each dataset", source, records, notes, bool(differs))


def labels(context: Context, number: int) -> Table:
    """Tables 8-16: percent of each label, per split; differences are marked as in Table 7."""
    statistics, source = _read(context)
    printed = paper.numbers("label_distributions")
    printed = printed[printed["table"] == number]
    task, names = printed["task"].iloc[0], list(dict.fromkeys(printed["label"]))
    misprints = paper.errata(f"table{number}")
    counts = statistics[statistics["task"] == task].set_index(["split", "label"])["count"]
    records, differs = [], False
    for split in dict.fromkeys(printed["split"]):
        percents = printed[printed["split"] == split].set_index("label")["percent"]
        expected = percents.map("{:.1f}".format)
        record: dict[str, Cell] = {"Split": _SPLITS[split]}
        known = {label: counts.get((split, label), 0) for label in names}
        total = sum(known.values())
        for label, count in known.items():
            share = f"{100 * count / total:.1f}" if total else None
            right = misprints.get((split, label), {}).get("correct", expected[label])
            wrong = share not in (None, right) and source.origin != "generated"
            record[label] = f"{share}{DIFFERS}" if wrong else share
            differs |= wrong
        for label in names:
            record[f"{label} (paper)"] = expected[label] + DAGGER * ((split, label) in misprints)
        records.append(record)
    title = f"Label distribution (percent) of {TASKS[task].title}"
    return _table(number, title, source, records, misprint_notes(misprints), differs)


def _read(context: Context) -> tuple[pd.DataFrame, Provenance]:
    """The statistics of our rows, and their origin and label."""
    runs = csv_schema.read_texts(context.path("runs"), "origin", "label")
    return dataset_statistics.read(context.path("datasets")), provenance(runs)


def _table(
    number: int,
    title: str,
    source: Provenance,
    records: list[dict[str, Cell]],
    notes: list[str],
    differs: bool,
) -> Table:
    if source.origin == "generated":
        title = f"{title} ({source.label.lower()}: generated data)"
        notes = [*notes, f"{source.label}: {_GENERATED}"]
    elif differs:
        notes = [*notes, f"{DIFFERS} differs from the paper."]
    return Table(number=number, title=title, records=records, notes=notes)
