"""A table as it is printed, written as CSV, Markdown and LaTeX."""

import csv
import dataclasses
from pathlib import Path

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
      rows: whole numbers have thousands separators (but not in CSV); columns of numbers, and of
        texts that start with a digit or a sign, are set to the right; None is a dash (empty in
        CSV).
    """

    number: int | None = None
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells in {row} under {len(self.columns)} columns")


def write(table: Table, stem: Path) -> tuple[Path, ...]:
    """Writes STEM.csv, STEM.md and STEM.tex, each atomically; returns the paths."""
    texts = {"csv": None, "md": markdown(table), "tex": latex(table)}
    paths = []
    for kind, text in texts.items():
        paths.append(stem.with_name(f"{stem.name}.{kind}"))
        with atomic_write(paths[-1]) as partial:
            if text is None:
                _write_csv(table, partial)
            else:
                partial.write_text(text, encoding="utf-8")
    return tuple(paths)


def markdown(table: Table) -> str:
    """The table as GitHub-flavoured Markdown, padded so that its columns align as text."""
    cells = [list(table.columns), *([shown(cell) for cell in row] for row in table.rows)]
    cells = [[text.replace("|", r"\|") for text in row] for row in cells]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    right = _right_aligned(table)
    lines = [
        "| "
        + " | ".join(
            text.rjust(width) if side else text.ljust(width)
            for text, width, side in zip(row, widths, right, strict=True)
        )
        + " |"
        for row in cells
    ]
    rule = [
        "-" * (width - 1) + (":" if side else "-")
        for width, side in zip(widths, right, strict=True)
    ]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    number = "" if table.number is None else f"Table {table.number}: "
    title = f"**{number}{table.title}**"
    notes = ["", *(f"{note}  " for note in table.notes)] if table.notes else []
    return "\n".join([title, "", *lines, *notes]) + "\n"


def latex(table: Table) -> str:
    """The table as a LaTeX `table` for the package booktabs."""
    alignment = "".join("r" if side else "l" for side in _right_aligned(table))

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


def _write_csv(table: Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows(table.rows)


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
    ] or [False] * len(table.columns)


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
