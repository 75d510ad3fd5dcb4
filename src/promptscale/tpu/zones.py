"""The choice of a zone for each request: a zone that refuses is left for the next zone."""

import dataclasses
import logging
from collections.abc import Iterable
from time import monotonic

from promptscale.errors import TpuError
from promptscale.tpu.cloud import SliceType, Unavailable

log = logging.getLogger(__name__)

_MAX_PAUSE_FACTOR = 64  # longest pause / shortest pause


@dataclasses.dataclass(frozen=True)
class _Refusal:
    """The refusals in a row of a type of slice by a zone; `alone`: while no slice was active."""

    number: int = 0
    alone: int = 0
    end: float = 0.0  # of the pause in which the zone is not asked
    error: TpuError = dataclasses.field(default_factory=Unavailable)


class Zones:
    """What each zone has refused, for each type of slice."""

    def __init__(self, pause: float, patience: int) -> None:
        """`pause` is the first pause in seconds; `patience` bounds temporary refusals in a row."""
        self._pause = pause
        self._patience = patience
        self._refusals: dict[tuple[str, str], _Refusal] = {}  # by type's key and zone
        self._closed: dict[str, TpuError] = {}  # zones that refuse to list slices

    def close(self, zone: str, error: TpuError) -> None:
        """Records that a zone refuses to list slices: slices there would be lost from sight."""
        if zone not in self._closed:
            log.warning("%s", error)
        self._closed[zone] = error

    def open(self, zone: str) -> None:
        """Records that a zone lists slices."""
        self._closed.pop(zone, None)

    def check_open(self, zones: set[str]) -> None:
        """Raises TpuError if all of these zones refuse to list slices."""
        if zones and self._closed.keys() >= zones:
            raise TpuError(joined(self._closed[zone] for zone in sorted(zones)))

    def refuse(self, key: str, zone: str, error: TpuError, *, active: bool) -> None:
        """Records a refusal; each pause is twice as long as the pause before.

        `active` says whether the run has an active slice, which may use the quota.
        """
        before = self._refusals.get((key, zone), _Refusal())
        seconds = self._pause * min(2**before.number, _MAX_PAUSE_FACTOR)
        alone = 0 if active else before.alone + 1
        end = monotonic() + seconds
        self._refusals[key, zone] = _Refusal(before.number + 1, alone, end, error)
        log.warning("%s The zone is asked again in %.0f s or later.", error, seconds)

    def work(self, key: str, zone: str) -> None:
        """Records that a slice of this type works."""
        self._refusals.pop((key, zone), None)

    def choose(self, slice_type: SliceType) -> str | None:
        """The zone with the fewest refusals, the first of equals; None while all zones pause.

        A refusal is final if it is not temporary, or if too many temporary refusals came in a row
        while the run had no active slice.

        Raises:
          TpuError: the refusals of all zones are final; has the words of each zone.
        """
        key, now = slice_type.key, monotonic()
        refusals = {z: self._refusals.get((key, z), _Refusal()) for z in slice_type.zones}
        final = {
            zone: self._closed.get(zone, refusal.error)
            for zone, refusal in refusals.items()
            if zone in self._closed
            or refusal.alone > self._patience
            or not isinstance(refusal.error, Unavailable)
        }
        if final.keys() == refusals.keys():
            for zone in refusals:  # a later job asks again
                self.work(key, zone)
            words = joined(final.values())
            raise TpuError(f"No zone gives a slice of type {slice_type.accelerator}: {words}")
        # A zone with a final refusal may have been mended; it is asked like the others.
        ready = [z for z in refusals if z not in self._closed and refusals[z].end <= now]
        return min(ready, key=lambda zone: refusals[zone].number, default=None)


def joined(errors: Iterable[TpuError]) -> str:
    """The messages of errors, each once."""
    return " ".join(dict.fromkeys(map(str, errors)))
