"""The `promptscale` command."""

import csv
import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from promptscale.config import axes, outputs
from promptscale.config.accelerators import accelerators
from promptscale.config.load import load_config
from promptscale.config.sizes import parameter_counts
from promptscale.errors import ConfigError, PromptscaleError, TpuError
from promptscale.planning.costs import PADDING, Estimate, estimate
from promptscale.planning.counts import jobs, run_table, trainings
from promptscale.storage.atomic import atomic_write

if TYPE_CHECKING:
    from promptscale.tpu.cloud import Cloud, ListedSlice


class _Group(typer.core.TyperGroup):
    """Commands that exit with the message of a PromptscaleError instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe is an error here and not at the interpreter's end
            return result
        except PromptscaleError as error:
            sys.exit(f"promptscale: {error}")


app = typer.Typer(
    cls=_Group,
    help="Prompt tuning of frozen T5 models. `snakemake` runs the experiments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tpu = typer.Typer(help="List and delete the TPU slices of this project.", no_args_is_help=True)
app.add_typer(tpu, name="tpu")


@app.command()
def parameters(
    size: Annotated[str, typer.Option(help="T5 size: small, base, large, xl, xxl or mini-*.")],
    prompt_length: Annotated[int, typer.Option(help="Length of the prompt in tokens.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the number of parameters of a prompt and of the frozen model (Table 4)."""
    counts = parameter_counts(size, prompt_length)
    if as_json:
        print(json.dumps(counts))
    else:
        print(
            f"{counts['trainable']:,} of {counts['total']:,} parameters are trainable "
            f"({counts['percent']:.5f} %): a prompt of {prompt_length} tokens on T5 {size}."
        )


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="A configuration file, such as config/real.yaml.")],
) -> None:
    """Check that a configuration is valid and that its local files exist."""
    settings = load_config(config)
    if missing := outputs.missing_files(settings):
        raise ConfigError("\n".join(f"{config}: {sentence}" for sentence in missing))
    runs = len(run_table(settings))
    print(f"{config} is valid and has {runs} runs; `promptscale plan` shows their cost.")


@app.command()
def plan(
    config: Annotated[Path, typer.Option(help="The configuration file.")] = Path(
        "config/miniature.yaml"
    ),
    runs: Annotated[Path | None, typer.Option(help="Write the table of runs to this CSV.")] = None,
    accelerator: Annotated[
        str, typer.Option(help="Accelerator of all jobs, from accelerators.yaml.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the jobs of a configuration and an estimate of their cost; start nothing."""
    settings = load_config(config)
    if accelerator and accelerator not in accelerators():
        known = ", ".join(accelerators())
        raise ConfigError(f"There is no accelerator {accelerator!r}; the table has {known}.")
    counts = {"trainings": trainings(settings), "jobs": jobs(settings)}
    cost = estimate(settings, accelerator)
    if runs is not None:
        if runs.is_dir() or not runs.absolute().parent.is_dir():
            raise ConfigError(f"The table of runs cannot be written to {runs}: give a file's path.")
        rows = run_table(settings)
        with atomic_write(runs) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if as_json:
        print(json.dumps(counts | {"cost": dataclasses.asdict(cost)}))
        return
    for unit, by_kind in counts.items():
        print(f"{unit} ({config})")
        for kind, count in (by_kind | {"in all": sum(by_kind.values())}).items():
            print(f"  {kind:<32}{count:>7,}")
    _print_cost(cost, settings.budget.accelerator_hours)


def _print_cost(cost: Estimate, budget: float) -> None:
    print(f"estimated cost on {', '.join(cost.accelerators)}")
    print(
        f"  {'':<22}{'EFLOP':>10}{'chip-hours':>12}{'USD':>10}{'GB stored':>10}{'GB state':>10}"
        f"{'padding':>9}  utilisation"
    )
    for kind, amount in (dict(cost.by_kind) | {"in all": cost.total}).items():
        hours, usd = (f"{x:,.0f}" if x else "-" for x in (amount.accelerator_hours, amount.usd))
        sizes = f"{amount.stored_bytes / 1e9:>10,.1f}{amount.state_bytes / 1e9:>10,.1f}"
        line = f"  {kind:<22}{amount.flops / 1e18:>10,.3g}{hours:>12}{usd:>10}{sizes}"
        if shares := cost.utilization.get(kind):
            line += f"{PADDING[kind]:>9.0%}  {', '.join(shares)}"
        print(line)
    print(f"  the longest chain of jobs takes {cost.longest_path_hours:,.1f} hours")
    print(f"  `budget.accelerator_hours` is {budget:,.0f}")
    print("  GB state: saved states if all jobs run at the same time; deleted when a job is done")
    print("  EFLOP: by the mean lengths of real examples (lengths.yaml), with the share of padding")
    if cost.unpriced:
        print(f"  USD leaves out, without a price in accelerators.yaml: {', '.join(cost.unpriced)}")
    if cost.assumed:
        sizes = ", ".join(cost.assumed)
        print(f"  `hardware` names no accelerator for {sizes}: their jobs are priced on an h100")


@app.command()
def scores(
    runs: Annotated[Path, typer.Argument(help="A table of runs.")] = Path("results/runs.csv"),
) -> None:
    """Print the dev score of every setting: mean and standard deviation over seeds."""
    # Imported here, because pandas would delay the other commands.
    from promptscale.reporting import provenance, runs_table

    selected = runs_table.selected_scores(runs_table.read_runs(runs))
    caption = provenance.caption(selected)  # refuses results of several origins or labels
    columns = [column.name for column in axes.columns()]
    setting = ["task", "eval_task", "method", "size", "checkpoint", *columns]
    table = runs_table.aggregate(selected, setting).round(1).sort_values(setting)
    different = [column for column in setting if table[column].nunique() > 1]
    print(table[[*different, "mean", "sd", "n"]].to_string(index=False, na_rep="-"))
    print(caption)


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_PATIENCE = 10.0  # seconds that a request of `promptscale tpu` is repeated
_Project = Annotated[
    str, typer.Option(help="Google Cloud project.", envvar="SNAKEMAKE_TPU_VM_PROJECT")
]
_Zone = Annotated[
    str | None,
    typer.Option(
        help="Zones, separated by commas; by default those in accelerators.yaml.",
        envvar="SNAKEMAKE_TPU_VM_ZONE",
    ),
]
_Run = Annotated[str | None, typer.Option(help="Only slices of this run.")]
_Endpoint = Annotated[str | None, typer.Option(help="Address of the API.", hidden=True)]


@tpu.command("list")
def list_slices(
    project: _Project, zone: _Zone = None, run: _Run = None, endpoint: _Endpoint = None
) -> None:
    """List the slices of this project."""
    _print_slices(project, zone, run, endpoint)


@tpu.command("reap")
def reap_slices(
    project: _Project,
    zone: _Zone = None,
    run: _Run = None,
    dry_run: Annotated[bool, typer.Option(help="Only list the slices.")] = False,
    endpoint: _Endpoint = None,
) -> None:
    """Delete the slices of this project, also those of a run that is still active."""
    from promptscale.tpu.pool import delete_slices

    cloud, zones, slices = _print_slices(project, zone, run, endpoint)
    if dry_run:
        print(f"{len(slices)} slices would be deleted.")
        return
    if remaining := delete_slices(
        cloud, zones, run, {s.name: s.zone for s in slices}, timeout=300.0
    ):
        names = ", ".join(remaining)
        raise TpuError(f"These slices still exist and cost money: {names}. Try again later.")
    print(f"{len(slices)} slices are deleted.")


def _print_slices(
    project: str, zone: str | None, run: str | None, endpoint: str | None
) -> tuple["Cloud", list[str], list["ListedSlice"]]:
    """Prints a table of slices; returns the cloud, the zones and the slices."""
    from promptscale.tpu.cloud import Cloud
    from promptscale.tpu.pool import RUN, project_slices

    zones = sorted({name for kind in accelerators().values() for name in kind.zones})
    if zone is not None:
        zones = [name.strip() for name in zone.split(",")]
    for option, name in [("--project", project), ("--run", run), *(("--zone", z) for z in zones)]:
        if name is not None and not _NAME.fullmatch(name):
            raise TpuError(
                f"{option} has the name {name!r}; a name has letters, digits, '-', '_', '.' and "
                "':', and several zones are separated by commas."
            )
    cloud = Cloud(project, endpoint, patience=_PATIENCE)
    slices = project_slices(cloud, zones, run)
    rows = [("slice", "zone", "type", "state", "run")]
    rows += [(s.name, s.zone, s.accelerator, s.state, s.labels[RUN]) for s in slices]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    return cloud, zones, slices


if __name__ == "__main__":
    app()
