"""Renders results of the benchmarks as Markdown tables.

    python -m benchmarks.report RESULTS.json            prints the tables
    python -m benchmarks.report RESULTS.json DOCUMENT   writes them between the document's markers

The markers are `<!-- benchmarks: cpu -->` and `<!-- end of benchmarks -->`, or with `gpu`.
"""

import json
import re
import statistics
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptscale.errors import ResultsError
from promptscale.storage.atomic import atomic_write

Row = Mapping[str, Any]


def describe(comparison: Row) -> str:
    """A comparison as a line for the terminal."""
    parts = []
    for label, row in comparison["variants"].items():
        if "median_seconds" in row:
            parts.append(f"{label} {row['median_seconds']:.3g} s")
        else:
            parts.append(f"{label}: {row.get('error', 'not measured')}")
    ratios = [f"{label} {ratio['median']:.2f}" for label, ratio in comparison["ratios"].items()]
    ending = f" (times {comparison['reference']}: {', '.join(ratios)})" if ratios else ""
    return f"{comparison['title']}: {'; '.join(parts)}{ending}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers aligned to the right from the second column on."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])


def peaks(results: Row) -> dict[str, float]:
    """Operations per second of the fastest matrix product, by dtype."""
    rates: dict[str, float] = {}
    for comparison in results["comparisons"]:
        for row in comparison["variants"].values():
            if row["mode"] == "matmul" and row.get("seconds"):
                rate = row["flops"] / min(row["seconds"])
                rates[row["dtype"]] = max(rate, rates.get(row["dtype"], 0.0))
    return rates


def _brief(error: str) -> str:
    """The beginning of an error, for a cell of a table."""
    return textwrap.shorten(error.replace("|", "/"), 80, placeholder=" ...")


def comparison_rows(results: Row) -> Iterable[list[str]]:
    """A row for each variant of each comparison."""
    limits = peaks(results)
    for comparison in results["comparisons"]:
        # A variant that takes a step for each run has more steps for the same work.
        steps = max(1, min(row["steps"] for row in comparison["variants"].values()))
        for label, row in comparison["variants"].items():
            title = f"{comparison['title']}: {label}"
            if "median_seconds" not in row:
                yield [title, _brief(row.get("error", "not measured")), *[""] * 6]
                continue
            seconds = row["median_seconds"]
            rate = row["flops"] / seconds
            limit = limits.get(row["dtype"])
            computed = row.get("computed_positions")
            ratio = comparison["ratios"].get(label)
            yield [
                title,
                f"{seconds / steps:.3g}",
                f"{row['examples'] / seconds:.3g}" if row["examples"] else "",
                f"{rate / 1e12:.3g}",
                f"{rate / limit:.0%}".replace("%", " %") if limit and row["examples"] else "",
                f"{row['real_positions'] / computed:.0%}".replace("%", " %") if computed else "",
                f"{row['peak_bytes'] / 1e9:.2f}",
                "{median:.2f} ({least:.2f}–{greatest:.2f})".format(**ratio) if ratio else "1",
            ]


def lifetime_rows(results: Row) -> Iterable[list[str]]:
    """Whole processes of N runs: together, and each in a process."""
    for row in results.get("lifetimes", []):
        together, separate = row["together"], row["separate"]
        yield [
            str(row["runs"]),
            f"{together['seconds']:.1f}",
            f"{separate['seconds']:.1f}",
            f"{separate['seconds'] / together['seconds']:.1f}",
            f"{together['peak_bytes'] / 1e9:.2f}",
            f"{row['runs'] * separate['peak_bytes'] / 1e9:.2f}",
        ]


def dry_run_rows(results: Row) -> Iterable[list[str]]:
    """Dry runs of the shipped configurations."""
    for row in results.get("dry_runs", []):
        seconds = f"{row['seconds']:.1f}" if "seconds" in row else row["error"][:80]
        yield [row["configuration"], str(row.get("jobs", "")), seconds]


def render(results: Row) -> str:
    """All tables of the results, after a sentence that says where they were measured."""
    machine = results["machine"]
    versions: dict[str, str] = {}
    loads = []
    for comparison in results["comparisons"]:
        loads += comparison["load"]
        for row in comparison["variants"].values():
            versions |= row["versions"]
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    sentences = (
        f"Measured on {results['date']}: {machine['processor']}, {machine['cores_used']} cores "
        f"({', '.join(machine['extensions']) or 'no extension of interest'}); {listed}. "
        f"Weights: {results['weights']}. Examples: {results['examples']}. The machine's load was "
        f"{statistics.median(loads or [0.0]):.1f} in the median and {max(loads, default=0.0):.1f} "
        "at most, with the benchmark's own threads."
    )
    parts = [
        textwrap.fill(sentences, 118),
        table(
            ["work", "seconds per step", "examples/s", "TFLOP/s", "share of the peak",
             "real positions", "GB at most", "time, in units of promptscale's"],
            comparison_rows(results),
        ),
    ]  # fmt: skip
    if results.get("lifetimes"):
        header = ["runs", "one process: s", "a process each: s", "ratio", "one process: GB",
                  "a process each, all at once: GB"]  # fmt: skip
        parts.append(table(header, lifetime_rows(results)))
    if results.get("dry_runs"):
        parts.append(table(["configuration", "jobs", "dry run: s"], dry_run_rows(results)))
    if results["not_measured"]:
        parts.append(f"Not measured, as the time was over: {', '.join(results['not_measured'])}.")
    return "\n\n".join(parts)


def insert(document: str, name: str, tables: str) -> str:
    """The document with the tables between its markers of that name.

    Raises:
      ResultsError: the document has no such markers.
    """
    start, end = f"<!-- benchmarks: {name} -->", "<!-- end of benchmarks -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(document):
        raise ResultsError(f"The document has no line {start!r} with a line {end!r} after it.")
    return pattern.sub(lambda _: f"{start}\n\n{tables}\n\n{end}", document, count=1)


def read(path: Path) -> dict[str, Any]:
    """The results in a file.

    Raises:
      ResultsError: the file is missing or holds no results.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        results["comparisons"], results["machine"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(
            f"{path} is not a file of results; `make bench` writes results/benchmarks/cpu.json."
        ) from error
    return results


def main() -> None:
    """Prints the tables, or writes them into a document."""
    results = read(Path(sys.argv[1]))
    tables = render(results)
    if len(sys.argv) < 3:
        print(tables)
        return
    document = Path(sys.argv[2])
    text = insert(document.read_text(encoding="utf-8"), results["accelerator"], tables)
    with atomic_write(document) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except ResultsError as error:
        sys.exit(str(error))
