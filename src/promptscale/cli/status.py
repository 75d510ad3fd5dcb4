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

ConfigFile = Annotated[Path, typer.Option(help="The configuration that runs.")]
StateFolder = Annotated[
    str, typer.Option(help="Folder of the states, also in a bucket, if not paths.state.")
]

_LISTED = 10  # jobs that are named in each state
_TERMINAL_SECONDS, _PLAIN_SECONDS = 2.0, 30.0  # between two looks at the files


def status(
    config: ConfigFile = Path("config/miniature.yaml"),
    state: StateFolder = "",
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
    grid = look()
    if not sys.stdout.isatty():
        while _unfinished(grid):
            print("\n".join(_lines(config, settings, grid)), "\n", flush=True)
            time.sleep(_PLAIN_SECONDS)
            grid = look()
        print("\n".join(_lines(config, settings, grid)))
        return
    with Live(console=Console(), auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            live.update(Text("\n".join(_lines(config, settings, grid))), refresh=True)
            if not _unfinished(grid):
                return
            time.sleep(_TERMINAL_SECONDS)
            grid = look()


def _unfinished(grid: GridStatus) -> bool:
    return len(grid.of("done")) < len(grid.jobs)


def _lines(config: Path, settings: Config, grid: GridStatus) -> Iterable[str]:
    """The status as text; the results follow once there are the tables that they need."""
    numbers = {state: len(grid.of(state)) for state in STATES}
    yield (
        f"{settings.label} ({config}): {numbers['done']} of {len(grid.jobs)} jobs are done, "
        f"{numbers['running']} run, {numbers['failed']} failed, {numbers['waiting']} wait."
    )
    yield from _time_lines(grid)
    if _unfinished(grid):
        yield ""
        yield from _aligned([
            ("job", "size", *STATES),
            *(
                (kind, size, *(str(counts[state] or "-") for state in STATES))
                for (kind, size), counts in grid.counts().items()
            ),
        ])  # fmt: skip
        yield "Snakemake counts some more jobs, such as those that vote, count and collect."
    yield from _listed("Running", grid.of("running"), lambda job: str(job.progress))
    yield from _listed("Failed", grid.of("failed"), lambda job: f"{job.reason} ({job.log})")
    yield from grid.notes
    if not _unfinished(grid):
        yield ""
        yield from _results(settings)


def _time_lines(grid: GridStatus) -> Iterable[str]:
    spent = f"Jobs took {_amount(grid.spent)} so far."
    if not _unfinished(grid):
        yield spent
        return
    if grid.basis == "nothing":
        yield f"{spent} How much time is left is not known before the first training is done."
        return
    running = max(1, len(grid.of("running")))
    basis = "by the jobs that are done" if grid.basis == "finished jobs" else "by the plan alone"
    yield (
        f"{spent} Left are about {_amount(grid.left)}, estimated {basis}: "
        f"{duration(3600 * grid.left.hours / running)} with {running} at a time."
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


def _as_json(grid: GridStatus) -> dict[str, Any]:
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
        for job, state, progress, reason, log in grid.jobs
    ]
    return {
        "counts": {state: len(grid.of(state)) for state in STATES},
        "spent": dataclasses.asdict(grid.spent),
        "left": dataclasses.asdict(grid.left),
        "left_rests_on": grid.basis,
        "notes": list(grid.notes),
        "jobs": jobs,
    }
