"""What `promptscale tpu list` and `promptscale tpu reap` do."""

from collections.abc import Iterable

from promptscale.config.accelerators import accelerators
from promptscale.errors import TpuError
from promptscale.tpu.cloud import Cloud, ListedSlice
from promptscale.tpu.pool import RUN, delete_slices


def parse_zones(zones: str | None) -> list[str]:
    """The zones of a comma-separated list; by default all zones in the table of accelerators."""
    if zones:
        return zones.split(",")
    return sorted({zone for kind in accelerators().values() for zone in kind.zones})


def format_table(slices: Iterable[ListedSlice]) -> str:
    """A text table of slices with a header line."""
    rows = [("slice", "zone", "type", "state", "run")]
    rows += [(s.name, s.zone, s.accelerator, s.state, s.labels[RUN]) for s in slices]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def reap(
    cloud: Cloud, zones: Iterable[str], run: str | None, slices: Iterable[ListedSlice]
) -> None:
    """Deletes `slices`, which are those of a run, or of all runs.

    Raises:
      TpuError: some slices remain.
    """
    names = [slice_.name for slice_ in slices]
    if remaining := delete_slices(cloud, zones, run, names, timeout=300.0):
        raise TpuError(
            f"These slices still exist and cost money: {', '.join(remaining)}. Try again later."
        )
