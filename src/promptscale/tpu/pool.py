"""The slices of a run: requests, adopts and deletes them, and detects lost slices."""

import dataclasses
import itertools
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic, sleep

from promptscale.errors import TpuError
from promptscale.tpu.cloud import Cloud, ListedSlice, Phase, SliceType, Unavailable
from promptscale.tpu.protocol import Status
from promptscale.tpu.remote_job import sha256
from promptscale.tpu.zones import Zones, joined

log = logging.getLogger(__name__)

RUN, TYPE, ENVIRONMENT = "promptscale-run", "promptscale-type", "promptscale-environment"  # labels
_MAX_MISSES = 2  # a slice is gone if it is missing in this number of lists in a row
_POLLS_PER_TIMEOUT = 3  # the time between two polls counts at most as timeout / this number

Metadata = Callable[[str, SliceType], dict[str, str]]  # of the slice with a name and a type


@dataclasses.dataclass(frozen=True)
class Limits:
    """Times in seconds, and upper bounds."""

    idle: float = 600.0  # until a slice without a job is deleted
    startup: float = 1800.0  # until an active slice without heartbeats from all hosts is lost
    heartbeat: float = 180.0  # until a host without a heartbeat is lost
    queue: float = math.inf  # until a queued slice is requested in another zone
    interval: float = 10.0  # between two heartbeats of a host, and two cycles of the controller
    chips: float = math.inf  # of all slices of the run together
    interruptions: int = 20  # of a job; also of refusals of a zone in a row


@dataclasses.dataclass(kw_only=True)
class Slice(ListedSlice):
    """A slice of this run."""

    type: SliceType
    attempt: str | None = None  # that it works on
    claimed: bool = True  # by a job of this controller; an adopted attempt is unclaimed at first
    since: float = 0.0  # the time of the last change of phase or attempt
    was_active: bool = False
    misses: int = 0  # the number of lists in a row that lacked the slice
    statuses: dict[int, Status] = dataclasses.field(default_factory=dict)  # by host
    observed: dict[int, float] = dataclasses.field(default_factory=dict)  # time of last heartbeat

    @property
    def ready(self) -> bool:
        """Whether all hosts have sent a heartbeat."""
        return self.phase is Phase.ACTIVE and len(self.statuses) == self.type.hosts

    @property
    def idle(self) -> bool:
        """Whether the slice can start an attempt."""
        return self.ready and self.attempt is None

    def has_ended(self, attempt: str | None) -> bool:
        """Whether all hosts have ended an attempt."""
        statuses = self.statuses.values()
        return self.ready and all(s.attempt == attempt and s.state != "running" for s in statuses)


class Pool:
    """All slices of a run; a `list` call per zone and cycle keeps their phases up to date."""

    def __init__(
        self, cloud: Cloud, run: str, environment: str, limits: Limits, metadata: Metadata
    ) -> None:
        """Slices are labelled with the run and the environment."""
        self._cloud = cloud
        self._labels = {RUN: run, ENVIRONMENT: environment}
        self._limits = limits
        self._metadata = metadata
        self._types: dict[str, SliceType] = {}
        self.zones: set[str] = set()  # where slices are listed
        self._refusals = Zones(limits.interval / 2, limits.interruptions)
        self._deleting: set[tuple[str, str]] = set()  # names and zones
        self._listed: set[str] = set()  # names in the last lists
        self.used_names: set[str] = set()  # names whose folders in the bucket hold old statuses
        self.slices: dict[str, Slice] = {}
        self._last_poll = monotonic()
        self._observed = 0.0  # the clock of heartbeats, which stops while hosts cannot be polled

    def register(self, slice_type: SliceType) -> None:
        """Adds a slice type that jobs need, and its zones."""
        self._types[slice_type.key] = slice_type
        self.zones.update(slice_type.zones)

    def refresh(self) -> list[Slice]:
        """Updates the phases of all slices; returns slices that were adopted.

        Slices in a zone that does not answer stay unchanged. A zone that refuses to list slices is
        not used.

        Raises:
          TpuError: all zones refuse to list slices.
        """
        now = monotonic()
        listed: list[ListedSlice] = []
        unanswered: set[str] = set()
        for zone in sorted(self.zones):
            try:
                listed += self._cloud.list(zone)
                self._refusals.open(zone)
            except TpuError as error:
                unanswered.add(zone)
                if isinstance(error, Unavailable):
                    log.warning("%s", error)
                else:
                    self._refusals.close(zone, error)
        self._refusals.check_open(self.zones)
        current = {s.name: s for s in listed if s.labels.get(RUN) == self._labels[RUN]}
        self._listed = set(current)
        for name, zone in sorted(pair for pair in self._deleting if pair[1] not in unanswered):
            if name not in current:
                self._deleting.discard((name, zone))
            elif current[name].phase is not Phase.DELETING:  # the call failed, or a create followed
                self._request_deletion(name, zone)
        for slice_ in list(self.slices.values()):
            if update := current.get(slice_.name):
                slice_.misses = 0
                if update.phase is not slice_.phase:
                    slice_.phase, slice_.since = update.phase, now
                    slice_.was_active |= update.phase is Phase.ACTIVE
                slice_.state, slice_.message = update.state, update.message
            elif slice_.zone not in unanswered:
                slice_.misses += 1
                if slice_.misses >= _MAX_MISSES:
                    slice_.phase, slice_.state, slice_.message = Phase.LOST, "gone", ""
        unknown = current.keys() - self.slices.keys() - {name for name, _ in self._deleting}
        return list(self._adopt((current[name] for name in sorted(unknown)), now))

    def _adopt(self, unknown: Iterable[ListedSlice], now: float) -> Iterator[Slice]:
        """Adopts slices that a killed controller or a lost answer left; deletes unusable slices."""
        for listed in unknown:
            slice_type = self._types.get(listed.labels.get(TYPE, ""))
            same = listed.labels.get(ENVIRONMENT) == self._labels[ENVIRONMENT]
            if listed.phase is Phase.DELETING:
                continue
            if listed.phase is Phase.LOST or (slice_type and not same):
                self._request_deletion(listed.name, listed.zone)
            elif slice_type:
                active = listed.phase is Phase.ACTIVE
                slice_ = Slice(
                    **vars(listed), type=slice_type, claimed=False, since=now, was_active=active
                )
                self.slices[listed.name] = slice_
                yield slice_

    def mark_polled(self) -> None:
        """Records that all statuses have just been read.

        The time since the last poll counts as at most heartbeat timeout / 3. A host is therefore
        not lost because the bucket had an outage or this machine was suspended.
        """
        elapsed = monotonic() - self._last_poll
        self._last_poll += elapsed
        self._observed += min(elapsed, self._limits.heartbeat / _POLLS_PER_TIMEOUT)

    def record_status(self, slice_: Slice, host: int, status: Status) -> None:
        """Records the status of a host, and the time if its heartbeat is new."""
        if not slice_.statuses:
            self._refusals.work(slice_.type.key, slice_.zone)
        if slice_.statuses.get(host) != status:
            slice_.statuses[host], slice_.observed[host] = status, self._observed

    def failure_reason(self, slice_: Slice) -> str | None:
        """Why a slice cannot be used any more; None if it can."""
        now = monotonic()
        if slice_.phase in (Phase.LOST, Phase.DELETING):
            return f"{slice_.state}{': ' + slice_.message if slice_.message else ''}"
        if slice_.phase is Phase.PENDING:
            return "queued too long" if now - slice_.since > self._limits.queue else None
        if not slice_.ready:
            late = now - slice_.since > self._limits.startup
            return "its hosts did not start" if late else None
        for host, status in sorted(slice_.statuses.items()):
            if self._observed - slice_.observed[host] > self._limits.heartbeat:
                return f"host {host} was lost"
            if status.state == "restarted":
                return f"host {host} was restarted"
        return None

    def drop(self, slice_: Slice, reason: str = "") -> None:
        """Removes a slice from the pool and requests its deletion.

        `reason` is why the slice cannot be used; if it never started, its zone has refused it.
        """
        self.slices.pop(slice_.name, None)
        if reason and not slice_.statuses:
            error = Unavailable(
                f"The slice {slice_.name} in {slice_.zone} did not start: {reason}."
            )
            self._refuse(slice_.type.key, slice_.zone, error)
        self._request_deletion(slice_.name, slice_.zone)

    def unused(self) -> list[Slice]:
        """Slices that have had no job, or an adopted attempt without a job, for too long."""
        now = monotonic()
        return [
            slice_
            for slice_ in self.slices.values()
            if (slice_.idle or (slice_.attempt is not None and not slice_.claimed))
            and now - slice_.since > self._limits.idle
        ]

    def request_slices(self, key: str, stems: Sequence[str]) -> None:
        """Requests slices of a type until a free or pending slice exists for each stem.

        A stem names a waiting job, and the slice that is made for it. After a refusal the next call
        asks another zone.

        Raises:
          TpuError: all zones refuse to create such a slice, or it has too many chips.
        """
        now = monotonic()
        slice_type = self._types[key]
        if slice_type.chips > self._limits.chips:
            raise TpuError(
                f"A {slice_type.accelerator} has {slice_type.chips} chips, but at most "
                f"{self._limits.chips:g} may be used; raise tpu_chips (--resources or the profile)."
            )
        slices = [s for s in self.slices.values() if s.type.key == key and s.attempt is None]
        free = [s.name for s in slices if s.phase in (Phase.PENDING, Phase.ACTIVE)]
        bases = {name.rsplit("-", 2)[0] for name in free}
        new = [stem for stem in stems if self._base(stem) not in bases]
        for stem in new[: max(0, len(stems) - len(free))]:
            zone = self._refusals.choose(slice_type)
            if zone is None or not self._make_room(slice_type.chips, key):
                return
            name = self._unused_name(stem, zone)
            labels = self._labels | {TYPE: key}
            metadata = self._metadata(name, slice_type)
            try:
                self._cloud.create(name, zone, slice_type, labels, metadata)
            except TpuError as error:
                # After a lost answer the slice exists. Then the next list has it.
                self._refuse(key, zone, error)
                return
            accelerator = slice_type.accelerator
            self.slices[name] = Slice(name, zone, accelerator, labels, type=slice_type, since=now)

    def close(self) -> list[str]:
        """Deletes all slices of this run; returns the names of those that remain."""
        known = {s.name: s.zone for s in self.slices.values()} | dict(self._deleting)
        self.slices.clear()
        return delete_slices(self._cloud, self.zones, self._labels[RUN], known, timeout=120.0)

    def _refuse(self, key: str, zone: str, error: TpuError) -> None:
        active = any(slice_.phase is Phase.ACTIVE for slice_ in self.slices.values())
        self._refusals.refuse(key, zone, error, active=active)

    def _make_room(self, chips: int, key: str) -> bool:
        """Drops idle slices of other types until `chips` chips are free; False if too few are."""
        while sum(s.type.chips for s in self.slices.values()) + chips > self._limits.chips:
            idle = [s for s in self.slices.values() if s.idle and s.type.key != key]
            if not idle:
                return False
            self.drop(min(idle, key=lambda slice_: slice_.since))
        return True

    def _unused_name(self, stem: str, zone: str) -> str:
        """The first name of a stem in a zone that no slice has had.

        After a lost answer the same zone is asked for the same name: there is a single slice. Two
        zones never have slices of the same name, which would share a mailbox.
        """
        base = f"{self._base(stem)}-{sha256(zone.encode())[:4]}"
        used = self._listed | self.used_names | self.slices.keys()
        names = (f"{base}-{number}" for number in itertools.count())
        return next(name for name in names if name not in used)

    def _base(self, stem: str) -> str:
        """The name of a stem's slices without zone and number: a valid name of a resource."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self._labels[RUN]}-{stem}".lower())[:50].strip("-")

    def _request_deletion(self, name: str, zone: str) -> None:
        """Requests the deletion of a slice; if this fails, `refresh` repeats it."""
        self._deleting.add((name, zone))
        self.used_names.add(name)
        try:
            self._cloud.delete(name, zone)
        except TpuError as error:
            log.warning("%s", error)


def _is_of(slice_: ListedSlice, run: str | None) -> bool:
    return RUN in slice_.labels and run in (None, slice_.labels[RUN])


def project_slices(cloud: Cloud, zones: Iterable[str], run: str | None) -> list[ListedSlice]:
    """Lists the slices of this project's runs, or of the run with the name `run`.

    A zone that refuses is left out with a warning.

    Raises:
      TpuError: a zone does not answer, or all zones refuse.
    """
    slices: list[ListedSlice] = []
    refusals: list[TpuError] = []
    places = sorted(zones)
    for zone in places:
        try:
            slices += cloud.list(zone)
        except Unavailable:
            raise
        except TpuError as error:
            log.warning("%s", error)
            refusals.append(error)
    if refusals and len(refusals) == len(places):
        raise TpuError(joined(refusals))
    return [slice_ for slice_ in slices if _is_of(slice_, run)]


def delete_slices(
    cloud: Cloud, zones: Iterable[str], run: str | None, known: Mapping[str, str], *, timeout: float
) -> list[str]:
    """Deletes all slices of a run (None: of all runs), and waits until they are being deleted.

    `known` has the zones, by name, of the slices that are known before the first list. Returns the
    names of the slices that remain after `timeout` seconds, or in zones that refuse.
    """
    places, end = sorted({*zones, *known.values()}), monotonic() + timeout
    while True:
        remaining: list[str] = []
        waiting = False
        for zone in places:
            try:
                listed = [s for s in cloud.list(zone) if _is_of(s, run)]
                slices = [s for s in listed if s.phase is not Phase.DELETING]
                remaining += [s.name for s in slices]
                for slice_ in slices:
                    cloud.delete(slice_.name, zone)
                waiting |= bool(slices)
            except TpuError as error:
                log.warning("%s", error)
                remaining += [name for name, place in known.items() if place == zone]
                waiting |= isinstance(error, Unavailable)
        if not waiting or monotonic() > end:
            return sorted(set(remaining))
        sleep(min(1.0, timeout / 20))
