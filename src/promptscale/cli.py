"""The `promptscale` command."""

import csv
import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from promptscale.config.accelerators import accelerators
from promptscale.config.load import load_config
from promptscale.config.sizes import parameter_counts
from promptscale.errors import ConfigError, PromptscaleError
from promptscale.planning.costs import Estimate, estimate
from promptscale.planning.counts import jobs, run_table, trainings
from promptscale.storage.atomic import atomic_write

app = typer.Typer(
    help="Prompt tuning of frozen T5 models. The experiment itself runs with `snakemake`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tpu = typer.Typer(help="TPU slices that runs of this project have made.", no_args_is_help=True)
app.add_typer(tpu, name="tpu")


def _plain_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Ends the command with the error's sentence where the user can mend it."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except PromptscaleError as error:
            sys.exit(f"promptscale: {error}")

    return wrapped


@app.command()
@_plain_errors
def parameters(
    size: Annotated[str, typer.Option(help="T5 size: small, base, large, xl, xxl or mini-*.")],
    prompt_length: Annotated[int, typer.Option(help="Prompt length in tokens.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count the parameters of a prompt and of the frozen model (Table 4)."""
    counts = parameter_counts(size, prompt_length)
    if as_json:
        print(json.dumps(counts))
    else:
        print(
            f"{counts['trainable']:,} of {counts['total']:,} parameters are trainable "
            f"({counts['percent']:.5f} %): a prompt of {prompt_length} tokens on T5 {size}."
        )


@app.command()
@_plain_errors
def check(
    config: Annotated[Path, typer.Argument(help="A configuration file, such as config/real.yaml.")],
) -> None:
    """Check a configuration."""
    runs = len(run_table(load_config(config)))
    print(f"{config} is valid: {runs} runs. `promptscale plan --config {config}` counts them.")


@app.command()
@_plain_errors
def plan(
    config: Annotated[Path, typer.Option(help="A configuration file.")] = Path(
        "config/miniature.yaml"
    ),
    runs: Annotated[Path | None, typer.Option(help="Write the run table to this CSV file.")] = None,
    accelerator: Annotated[
        str, typer.Option(help="Price all jobs on this type of accelerators.yaml.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count and price what a configuration asks for, before anything starts."""
    loaded = load_config(config)
    if accelerator and accelerator not in accelerators():
        raise ConfigError(
            f"There is no accelerator {accelerator!r}; known are {', '.join(accelerators())}."
        )
    counted = {"trainings": trainings(loaded), "jobs": jobs(loaded)}
    cost = estimate(loaded, accelerator)
    if runs is not None:
        _write_csv(run_table(loaded), runs)
    if as_json:
        print(json.dumps(counted | {"cost": dataclasses.asdict(cost)}))
        return
    for what, counts in counted.items():
        print(f"{what} ({config})")
        for kind, count in (counts | {"in all": sum(counts.values())}).items():
            print(f"  {kind:<32}{count:>7,}")
    _print_cost(cost, loaded.budget.accelerator_hours)


def _print_cost(cost: Estimate, budget: float) -> None:
    """The estimate as a table, with what it rests on."""
    if not cost.accelerators:
        print("cost: `hardware` names no accelerators; --accelerator TYPE prices one")
        return
    print(f"cost, estimated from above, on {', '.join(cost.accelerators)}")
    print(f"  {'':<24}{'EFLOP':>12}{'chip-hours':>12}{'USD':>12}{'GB kept':>10}{'GB state':>10}")
    for kind, one in (dict(cost.by_kind) | {"in all": cost.total}).items():
        hours, usd = (
            f"{value:,.0f}" if value else "-" for value in (one.accelerator_hours, one.usd)
        )
        kept, state = one.stored_bytes / 1e9, one.state_bytes / 1e9
        amounts = f"{hours:>12}{usd:>12}{kept:>10,.1f}{state:>10,.1f}"
        print(f"  {kind:<24}{one.flops / 1e18:>12,.3g}{amounts}")
    print(f"  the longest path takes {cost.longest_path_hours:,.1f} hours")
    print(f"  `budget.accelerator_hours` is {budget:,.0f}")
    print("  GB state: what jobs resume from, deleted as each ends; the sum if all run at once")
    if cost.unpriced:
        print(f"  without a price in accelerators.yaml: {', '.join(cost.unpriced)}")


def _write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@app.command()
@_plain_errors
def scores(
    runs: Annotated[Path, typer.Argument(help="A table of runs.")] = Path("results/runs.csv"),
) -> None:
    """Print the selected dev score of every setting: mean and sd over seeds."""
    # Here, so that the other commands need not wait for pandas.
    from promptscale.reporting import provenance, runs_table

    kept = runs_table.selected_scores(runs_table.read_runs(runs))
    setting = ["task", "method", "size", "checkpoint", "prompt_length", "initialization"]
    table = runs_table.aggregate(kept, setting).round(1).sort_values(setting)
    print(table.to_string(index=False, na_rep="-"))
    print(provenance.caption(kept))


_Project = Annotated[
    str, typer.Option(help="Google Cloud project.", envvar="SNAKEMAKE_TPU_VM_PROJECT")
]
_Zone = Annotated[
    str | None,
    typer.Option(
        help="Zone, or several with commas; all of accelerators.yaml if not given.",
        envvar="SNAKEMAKE_TPU_VM_ZONE",
    ),
]
_Run = Annotated[str | None, typer.Option(help="Only the slices of this run.")]
_Endpoint = Annotated[str | None, typer.Option(help="Another address of the API.", hidden=True)]


@tpu.command("list")
@_plain_errors
def list_slices(
    project: _Project, zone: _Zone = None, run: _Run = None, endpoint: _Endpoint = None
) -> None:
    """Show the slices that there are."""
    from promptscale.tpu import commands
    from promptscale.tpu.cloud import Cloud

    print(commands.table(commands.ours(Cloud(project, endpoint), commands.zones(zone), run)))


@tpu.command("reap")
@_plain_errors
def reap_slices(
    project: _Project,
    zone: _Zone = None,
    run: _Run = None,
    dry_run: Annotated[bool, typer.Option(help="Only show what would be deleted.")] = False,
    endpoint: _Endpoint = None,
) -> None:
    """Delete slices that a crash left. A run that is going on loses them, too."""
    from promptscale.tpu import commands
    from promptscale.tpu.cloud import Cloud

    cloud = Cloud(project, endpoint)
    found = commands.ours(cloud, commands.zones(zone), run)
    print(commands.table(found))
    if dry_run:
        print(f"{len(found)} slices would be deleted.")
    else:
        commands.reap(cloud, found)
        print(f"{len(found)} slices are deleted.")


if __name__ == "__main__":
    app()
