"""The command `status`: how far the grid of a configuration is."""

import dataclasses
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from promptscale.config.axes import describe
from promptscale.config.load import load_config
from promptscale.config.schema import Config
from promptscale.errors import ResultsError
from promptscale.planning.job_progress import duration
from promptscale.planning.status import STATES, Amount, GridStatus, JobStatus, grid_status

_LISTED = 10  # jobs that are named in each state
_TERMINAL_SECONDS, _PLAIN_SECONDS = 2.0, 30.0  # between two looks at the files


def status(
    config: Annotated[Path, typer.Option(help="The configuration that runs.")] = Path(
        "config/miniature.yaml"
    ),
    state: Annotated[
        str, typer.Option(help="Folder of the states, also in a bucket, if not paths.state.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[bool, typer.Option(help="Go on until no job is left.")] = False,
) -> None:
    """Print how far a configuration's jobs are, and its results once all are done.

    Only files are read, so this works while Snakemake runs, after it died, and elsewhere, if
    `paths.state` is in a bucket: promptscale status --config config/paper.yaml --watch
    """
    settings = load_config(config)
    look = lambda: grid_status(settings, time.time(), state)  # noqa: E731
    if as_json:
        print(json.dumps(_as_json(look())))
    elif watch:
        _watch(config, settings, look)
    else:
        print("\n".join(_lines(config, settings, look())))


def _watch(config: Path, settings: Config, look: Any) -> None:
    """Shows the status until all jobs are done: in place on a terminal, else now and then."""
    found = look()
    if not sys.stdout.isatty():
        while _unfinished(found):
            print("\n".join(_lines(config, settings, found)), "\n", flush=True)
            time.sleep(_PLAIN_SECONDS)
            found = look()
        print("\n".join(_lines(config, settings, found)))
        return
    with Live(console=Console(), auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            live.update(Text("\n".join(_lines(config, settings, found))), refresh=True)
            if not _unfinished(found):
                return
            time.sleep(_TERMINAL_SECONDS)
            found = look()


def _unfinished(found: GridStatus) -> bool:
    return len(found.of("done")) < len(found.jobs)


def _lines(config: Path, settings: Config, found: GridStatus) -> Iterable[str]:
    """The status as text; the results follow once there are the tables that they need."""
    numbers = {state: len(found.of(state)) for state in STATES}
    yield (
        f"{settings.label} ({config}): {numbers['done']} of {len(found.jobs)} jobs are done, "
        f"{numbers['running']} run, {numbers['failed']} failed, {numbers['waiting']} wait."
    )
    yield from _time_lines(found)
    if _unfinished(found):
        yield ""
        yield from _aligned([
            ("job", "size", *STATES),
            *(
                (kind, size, *(str(counts[state] or "-") for state in STATES))
                for (kind, size), counts in found.counts().items()
            ),
        ])  # fmt: skip
    yield from _listed("Running", found.of("running"), lambda job: str(job.progress))
    yield from _listed("Failed", found.of("failed"), lambda job: f"{job.reason} ({job.log})")
    yield from found.notes
    if not _unfinished(found):
        yield ""
        yield from _results(settings)


def _time_lines(found: GridStatus) -> Iterable[str]:
    spent = f"Jobs took {_amount(found.spent)} so far."
    if not _unfinished(found):
        yield spent
        return
    running = max(1, len(found.of("running")))
    basis = "by the jobs that are done" if found.measured else "by the plan alone"
    yield (
        f"{spent} Left are about {_amount(found.left)}, estimated {basis}: "
        f"{duration(3600 * found.left.hours / running)} with {running} at a time."
    )


def _amount(amount: Amount) -> str:
    return (
        f"{duration(3600 * amount.hours)} ({duration(3600 * amount.accelerator_hours)} of devices)"
    )


def _listed(title: str, jobs: Sequence[JobStatus], text: Any) -> Iterable[str]:
    if jobs:
        yield ""
        yield title
        yield from (f"  {job.job.name}: {text(job)}" for job in jobs[:_LISTED])
        if len(jobs) > _LISTED:
            yield f"  and {len(jobs) - _LISTED} more; --json names all"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Rows of a table whose first two columns are texts."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [*map(str.ljust, row[:2], widths), *map(str.rjust, row[2:], widths[2:])]
        yield "  ".join(cells).rstrip()


def _results(settings: Config) -> Iterable[str]:
    """The scores, the verdicts, and where to look next."""
    # Imported here, because pandas would delay the status of a grid that runs.
    from promptscale.reporting.context import Context
    from promptscale.reporting.summary import summary

    results, figures = Path(settings.paths.results), settings.paths.figures
    architectures = {name: vars(settings.all_sizes[name]) for name in settings.architectures}
    tables = {name: results / f"{name}.csv" for name in ("runs", "majority")}
    context = Context.of(tables, describe(settings.default_setting), architectures)
    try:
        yield from summary(context, results / "claims.csv")
    except ResultsError as error:
        yield str(error)
    yield ""
    yield f"All results on a page: {results}/index.html    Figures: {figures}/"
    yield f"Claims with their statistics: {results}/claims.md    Tables: {results}/tables/"
    yield f"Every run: {results}/runs.csv, as text: promptscale scores {results}/runs.csv"


def _as_json(found: GridStatus) -> dict[str, Any]:
    """The status as JSON's types."""
    jobs = [
        {
            "kind": job.kind,
            "size": job.size,
            "name": job.name,
            "state": state,
            "reason": reason,
            "log": log,
            "progress": dataclasses.asdict(progress) if progress else None,
        }
        for job, state, progress, reason, log in found.jobs
    ]
    return {
        "counts": {state: len(found.of(state)) for state in STATES},
        "spent": dataclasses.asdict(found.spent),
        "left": dataclasses.asdict(found.left),
        "left_is_measured": found.measured,
        "notes": list(found.notes),
        "jobs": jobs,
    }
