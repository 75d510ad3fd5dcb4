"""The commands `tpu list` and `tpu reap`: the TPU slices of this project."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from promptscale.config.accelerators import accelerators
from promptscale.errors import TpuError

if TYPE_CHECKING:
    from promptscale.tpu.cloud import Cloud, ListedSlice

app = typer.Typer(help="List and delete the TPU slices of this project.", no_args_is_help=True)

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


@app.command("list")
def list_slices(
    project: _Project, zone: _Zone = None, run: _Run = None, endpoint: _Endpoint = None
) -> None:
    """List the slices of this project."""
    _print_slices(project, zone, run, endpoint)


@app.command("reap")
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
