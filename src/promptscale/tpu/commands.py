"""`promptscale tpu list` and `promptscale tpu reap`: slices that a killed controller left."""

import time
from collections.abc import Callable, Iterable

from promptscale.config.accelerators import accelerators
from promptscale.errors import TpuError
from promptscale.tpu.cloud import Cloud, ListedSlice, Phase
from promptscale.tpu.pool import RUN


def parse_zones(zones: str | None) -> list[str]:
    """The zones of a comma-separated list; by default all zones in the table of accelerators."""
    if zones:
        return zones.split(",")
    return sorted({zone for kind in accelerators().values() for zone in kind.zones})


def project_slices(cloud: Cloud, zones: Iterable[str], run: str | None) -> list[ListedSlice]:
    """The slices of this project's runs, or of the run with the name `run`."""
    slices = [slice_ for zone in zones for slice_ in cloud.list(zone) if RUN in slice_.labels]
    return [slice_ for slice_ in slices if run in (None, slice_.labels[RUN])]


def format_table(slices: Iterable[ListedSlice]) -> str:
    """A text table of slices with a header line."""
    rows = [("slice", "zone", "type", "state", "run")]
    rows += [(s.name, s.zone, s.accelerator, s.state, s.labels[RUN]) for s in slices]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def delete_slices(
    cloud: Cloud,
    slices: Iterable[ListedSlice],
    sleep: Callable[[float], None] = time.sleep,
    timeout: float = 300.0,
) -> None:
    """Deletes slices and waits until each is gone or in the state DELETING.

    Raises:
      TpuError: some slices still exist after `timeout` seconds.
    """
    remaining = {s.name: s for s in slices if s.phase is not Phase.DELETING}
    for slice_ in remaining.values():
        cloud.delete(slice_.name, slice_.zone)
    end = time.monotonic() + timeout
    while True:
        zones = {slice_.zone for slice_ in remaining.values()}
        listed = [slice_ for zone in zones for slice_ in cloud.list(zone)]
        remaining = {
            s.name: s for s in listed if s.name in remaining and s.phase is not Phase.DELETING
        }
        if not remaining:
            return
        if time.monotonic() > end:
            names = ", ".join(remaining)
            raise TpuError(f"These slices still exist and cost money: {names}. Try again later.")
        sleep(1.0)
