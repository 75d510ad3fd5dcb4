"""`promptscale tpu list` and `promptscale tpu reap`: what a crash left, and the end of it."""

import time
from collections.abc import Callable, Iterable

from promptscale.config.accelerators import accelerators
from promptscale.errors import TpuError
from promptscale.tpu.cloud import Cloud, Listed, Phase
from promptscale.tpu.pool import RUN


def zones(given: str | None) -> list[str]:
    """The zones of a list with commas, or all those in the table of accelerators."""
    if given:
        return given.split(",")
    return sorted({zone for one in accelerators().values() for zone in one.zones})


def ours(cloud: Cloud, where: Iterable[str], run: str | None) -> list[Listed]:
    """The slices that this project's executor made: all runs' or those of one."""
    found = [one for zone in where for one in cloud.list(zone) if RUN in one.labels]
    return [one for one in found if run in (None, one.labels[RUN])]


def table(slices: Iterable[Listed]) -> str:
    """Slices as lines of text with a head."""
    rows = [("slice", "zone", "type", "state", "run")]
    rows += [(one.name, one.zone, one.accelerator, one.state, one.labels[RUN]) for one in slices]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def reap(
    cloud: Cloud,
    slices: Iterable[Listed],
    sleep: Callable[[float], None] = time.sleep,
    patience: float = 300.0,
) -> None:
    """Deletes slices and waits until the cloud says that they go.

    Raises:
      TpuError: some are still there after `patience` seconds.
    """
    left = {one.name: one for one in slices if one.phase is not Phase.GOING}
    for one in left.values():
        cloud.delete(one.name, one.zone)
    end = time.monotonic() + patience
    while True:
        where = {one.zone for one in left.values()}
        now = {one.name: one for zone in where for one in cloud.list(zone)}
        left = {
            name: one
            for name, one in left.items()
            if name in now and now[name].phase is not Phase.GOING
        }
        if not left:
            return
        if time.monotonic() > end:
            raise TpuError(f"These slices are still there and cost money: {', '.join(left)}.")
        sleep(1.0)
