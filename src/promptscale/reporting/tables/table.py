"""A table as it is printed, written as CSV, Markdown and LaTeX."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from promptscale.storage.atomic import atomic_write

Cell = str | int | None

DAGGER, DIFFERS, DASH = "†", "‡", "–"

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "†": r"$^\dagger$", "‡": r"$^\ddagger$", "–": "--", "×": r"$\times$",
    "Δ": r"$\Delta$",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table with its title and the notes under it.

    Attributes:
      number: the table's number in the paper; None where it has no such table.
      records: the rows, each from the columns' names to its cells. Whole numbers have thousands
        separators (but not in CSV); columns of numbers, and of texts that start with a digit or a
        sign, are set to the right; None is a dash (empty in CSV).
    """

    number: int | None = None
    title: str
    records: Sequence[Mapping[str, Cell]]
    notes: Sequence[str] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.records[0])

    @property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The cells of each row."""
        return tuple(tuple(record.values()) for record in self.records)


def write(table: Table, stem: Path) -> tuple[Path, ...]:
    """Writes STEM.csv, STEM.md and STEM.tex, each atomically; returns the paths."""
    frame = pd.DataFrame(table.records, dtype=object)
    texts = {
        "csv": frame.to_csv(index=False, lineterminator="\n"),
        "md": markdown(table),
        "tex": latex(table),
    }
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in texts}
    for kind, path in paths.items():
        with atomic_write(path) as partial:
            partial.write_text(texts[kind], encoding="utf-8")
    return tuple(paths.values())


def markdown(table: Table) -> str:
    """The table as GitHub-flavoured Markdown, padded so that its columns align as text."""
    cells = [table.columns, *(map(shown, row) for row in table.rows)]
    columns = zip(*([text.replace("|", r"\|") for text in row] for row in cells), strict=True)
    padded = []
    for right, column in zip(_right_aligned(table), columns, strict=True):
        width = max(3, *map(len, column))
        head, *texts = [text.rjust(width) if right else text.ljust(width) for text in column]
        padded.append([head, "-" * (width - 1) + (":" if right else "-"), *texts])
    lines = [f"| {' | '.join(row)} |" for row in zip(*padded, strict=True)]
    number = "" if table.number is None else f"Table {table.number}: "
    notes = ["", *(f"{note}  " for note in table.notes)] if table.notes else []
    return "\n".join([f"**{number}{table.title}**", "", *lines, *notes]) + "\n"


def latex(table: Table) -> str:
    """The table as a LaTeX `table` for the package booktabs."""
    alignment = "".join("r" if right else "l" for right in _right_aligned(table))

    def line(texts) -> str:
        return " & ".join(map(_escaped, texts)) + r" \\"

    # LaTeX then prints the paper's number.
    counter = [] if table.number is None else [rf"\setcounter{{table}}{{{table.number - 1}}}"]
    body = [line(map(shown, row)) for row in table.rows]
    notes = [rf"\par\smallskip\footnotesize {_escaped(note)}" for note in table.notes]
    return "\n".join([
        r"\begin{table}", r"\centering",
        *counter,
        rf"\caption{{{_escaped(table.title)}}}",
        rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", line(table.columns), r"\midrule",
        *body, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}",
    ]) + "\n"  # fmt: skip


def shown(cell: Cell) -> str:
    """The text of a cell in Markdown and LaTeX."""
    if cell is None:
        return DASH
    return f"{cell:,}" if isinstance(cell, int) else cell


def _right_aligned(table: Table) -> list[bool]:
    """Whether each column holds numbers."""
    return [
        all(shown(cell).lstrip("+-")[:1].isdigit() or cell in (None, "", DASH) for cell in column)
        for column in zip(*table.rows, strict=True)
    ]


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
