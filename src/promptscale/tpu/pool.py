"""The slices of a run: which there are, who works on which, and what becomes of them."""

import dataclasses
import hashlib
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from promptscale.errors import TpuError
from promptscale.tpu.cloud import Busy, Cloud, Listed, Phase, Shape
from promptscale.tpu.status import Status

log = logging.getLogger(__name__)

_LABEL = "promptscale"
RUN, SHAPE, ENVIRONMENT = f"{_LABEL}-run", f"{_LABEL}-shape", f"{_LABEL}-environment"
_MISSES = 2  # lists in a row without a slice after which it is gone
_LONGEST_PAUSE = 64  # times the shortest
_GAPS = 3  # the time between two looks at the hosts counts as so little of the longest silence


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to wait no longer, in seconds, and how many chips to have at a time.

    `idle`: a slice without work. `startup`: an active slice until its hosts report. `silence`: a
    host that has stopped reporting. `queue`: a slice that has been asked for. `pause`: the shortest
    between two attempts to create a slice, where the service says that it cannot now.
    """

    idle: float = 600.0
    startup: float = 1800.0
    silence: float = 180.0
    queue: float = math.inf
    pause: float = 5.0
    chips: float = math.inf


@dataclasses.dataclass
class Slice:
    """One slice of this run. `attempt`: what it is working on; `beats`: each host's, and when.

    (For `beats`, time is that in which the hosts could be heard.)
    """

    name: str
    zone: str
    key: str
    hosts: int
    chips: int
    phase: Phase = Phase.COMING
    state: str = "CREATING"
    message: str = ""
    attempt: str | None = None
    claimed: bool = True  # by a job of this controller; an adopted attempt is not, at first
    since: float = 0.0  # when its phase or its attempt last changed
    misses: int = 0
    beats: dict[int, tuple[str, int, float]] = dataclasses.field(default_factory=dict)
    statuses: dict[int, Status] = dataclasses.field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether all hosts have reported."""
        return self.phase is Phase.ACTIVE and len(self.statuses) == self.hosts

    @property
    def idle(self) -> bool:
        """Whether it could take work."""
        return self.ready and self.attempt is None


def key_of(shape: Shape) -> str:
    """The label by which slices of one shape know each other."""
    content = repr((shape.accelerator, shape.runtime, shape.tier)).encode()
    return hashlib.sha256(content).hexdigest()[:12]


class Pool:
    """All slices of a run, kept in step with the cloud by one `list` call per zone and cycle."""

    def __init__(
        self,
        cloud: Cloud,
        run: str,
        environment: str,
        limits: Limits,
        metadata: Callable[[str, Shape], dict[str, str]],
        clock: Callable[[], float],
    ) -> None:
        """`metadata` is what a slice of a name and shape is told when it is created."""
        self._cloud = cloud
        self._labels = {RUN: run, ENVIRONMENT: environment}
        self._limits = limits
        self._metadata = metadata
        self._clock = clock
        self._shapes: dict[str, Shape] = {}
        self.zones: set[str] = set()  # where slices are looked for
        self._turn: dict[str, int] = {}  # which of a shape's zones is tried next
        self._pause: dict[str, tuple[float, float]] = {}  # until when, and how long
        self._deleting: set[tuple[str, str]] = set()  # name and zone
        self._taken: set[str] = set()  # names that the last lists held
        self.past: set[str] = set()  # names that slices had: what hosts wrote is in their folders
        self.slices: dict[str, Slice] = {}
        self.created = 0
        self._looked = clock()  # when the hosts' reports were last read
        self._watched = 0.0  # seconds in which they could be

    def know(self, shape: Shape) -> str:
        """Takes note of a shape that jobs want; its key."""
        key = key_of(shape)
        self._shapes[key] = shape
        self.zones.update(shape.zones)
        return key

    def watch(self, zones: Iterable[str]) -> None:
        """Looks for slices of this run in further zones."""
        self.zones.update(zones)

    def refresh(self) -> list[Slice]:
        """Asks the cloud how things are; slices that turned out to be ours already are returned.

        A zone that does not answer is left as it was.

        Raises:
          TpuError: the cloud will not tell us.
        """
        now = self._clock()
        listed: list[Listed] = []
        silent: set[str] = set()
        for zone in sorted(self.zones):
            try:
                listed += self._cloud.list(zone)
            except Busy as error:
                log.warning("%s", error)
                silent.add(zone)
        ours = {one.name: one for one in listed if one.labels.get(RUN) == self._labels[RUN]}
        self._taken = set(ours)
        for name, zone in [*self._deleting]:
            if zone in silent:
                continue
            if name not in ours:
                self._deleting.discard((name, zone))
            elif ours[name].phase is not Phase.GOING:  # the call was lost, or it was made again
                self._try_delete(name, zone)
        going = {name for name, _ in self._deleting}
        for mine in list(self.slices.values()):
            if mine.name in ours:
                mine.misses = 0
                found = ours[mine.name]
                if found.phase is not mine.phase:
                    mine.phase, mine.since = found.phase, now
                mine.state, mine.message = found.state, found.message
            elif mine.zone not in silent:
                mine.misses += 1
                if mine.misses >= _MISSES:
                    mine.phase, mine.state, mine.message = Phase.LOST, "gone", ""
        strange = [ours[name] for name in ours.keys() - self.slices.keys() - going]
        return list(self._adopt(strange, now))

    def _adopt(self, found: Iterable[Listed], now: float) -> Iterator[Slice]:
        """Takes slices over that an earlier controller, or a lost answer, left."""
        for one in found:
            key = one.labels.get(SHAPE, "")
            fits = one.labels.get(ENVIRONMENT) == self._labels[ENVIRONMENT]
            if one.phase is Phase.GOING:
                continue
            if (key in self._shapes and not fits) or one.phase is Phase.LOST:
                self._try_delete(one.name, one.zone)
            elif key in self._shapes:
                shape = self._shapes[key]
                mine = Slice(one.name, one.zone, key, shape.hosts, shape.chips, one.phase)
                mine.since, mine.claimed = now, False
                self.slices[one.name] = mine
                yield mine

    def looked(self) -> None:
        """Takes note that the hosts' reports can be read.

        Where nobody could read or write for a while, as when the bucket does not answer or this
        machine was asleep, the hosts were not silent.
        """
        now = self._clock()
        self._watched += min(now - self._looked, self._limits.silence / _GAPS)
        self._looked = now

    def hear(self, mine: Slice, host: int, status: Status) -> None:
        """Takes note of a host's status."""
        mine.statuses[host] = status
        before = mine.beats.get(host)
        if before is None or before[:2] != (status.incarnation, status.beat):
            mine.beats[host] = (status.incarnation, status.beat, self._watched)

    def trouble(self, mine: Slice) -> str | None:
        """Why a slice cannot be worked with any more; None where it can."""
        now = self._clock()
        if mine.phase in (Phase.LOST, Phase.GOING):
            return f"{mine.state}{': ' + mine.message if mine.message else ''}"
        if mine.phase is Phase.COMING:
            return "queued too long" if now - mine.since > self._limits.queue else None
        if not mine.ready:
            late = now - mine.since > self._limits.startup
            return "its hosts did not start" if late else None
        for host, (_, _, heard) in sorted(mine.beats.items()):
            if self._watched - heard > self._limits.silence:
                return f"host {host} was lost"
            if mine.statuses[host].state == "restarted":
                return f"host {host} was restarted"
        return None

    def drop(self, mine: Slice) -> None:
        """Gives a slice up and has it deleted."""
        self.slices.pop(mine.name, None)
        if not mine.statuses:  # it never came: the next one is asked for elsewhere
            self._turn[mine.key] = self._turn.get(mine.key, 0) + 1
        self._try_delete(mine.name, mine.zone)

    def drop_unused(self) -> None:
        """Gives up what has had no work, or an adopted attempt that no job claims, for too long."""
        now = self._clock()
        for mine in list(self.slices.values()):
            unused = mine.idle or (mine.attempt is not None and not mine.claimed)
            if unused and now - mine.since > self._limits.idle:
                self.drop(mine)

    def provide(self, key: str, stems: Sequence[str]) -> None:
        """Asks for slices until as many of a shape are free or coming as there are stems.

        A stem names the work that waits for a slice, and the slice that is made for it. The cap on
        chips is kept.

        Raises:
          TpuError: the cloud will not create such a slice.
        """
        now = self._clock()
        if self._pause.get(key, (0.0, 0.0))[0] > now:
            return
        shape = self._shapes[key]
        if shape.chips > self._limits.chips:
            raise TpuError(
                f"A {shape.accelerator} has {shape.chips} chips, more than may be had at a time: "
                f"tpu_chips={self._limits.chips:g} (--resources, or the profile)."
            )
        free = [
            one
            for one in self.slices.values()
            if one.key == key and one.attempt is None and one.phase in (Phase.COMING, Phase.ACTIVE)
        ]
        names = [one.name for one in free]
        new = [stem for stem in stems if not any(map(self._named(stem), names))]
        for stem in new[: max(0, len(stems) - len(free))]:
            if not self._room(shape.chips, key):
                return
            zone = shape.zones[self._turn.get(key, 0) % len(shape.zones)]
            name = self._free_name(stem)
            labels = self._labels | {SHAPE: key}
            try:
                self._cloud.create(name, zone, shape, labels, self._metadata(name, shape))
            except Busy as error:
                # Whether it was created after all, the next list tells; it has the same name then.
                shortest = self._limits.pause
                length = self._pause.get(key, (0.0, shortest / 2))[1]
                length = min(2 * length, shortest * _LONGEST_PAUSE)
                self._pause[key] = (now + length, length)
                log.warning("%s Trying again in %.0f s.", error, length)
                return
            self._pause.pop(key, None)
            self.created += 1
            self.slices[name] = Slice(name, zone, key, shape.hosts, shape.chips, since=now)

    def close(self, sleep: Callable[[float], None], patience: float = 120.0) -> list[str]:
        """Deletes every slice of this run; those that could not be within `patience` seconds.

        Where the cloud refuses for good, there is nothing to be patient for.
        """
        end = self._clock() + patience
        left = [*self.slices]
        self.slices.clear()
        while True:
            try:
                listed = [one for zone in sorted(self.zones) for one in self._cloud.list(zone)]
                ours = [one for one in listed if one.labels.get(RUN) == self._labels[RUN]]
                left = [one.name for one in ours if one.phase is not Phase.GOING]
                for one in ours:
                    if one.phase is not Phase.GOING:
                        self._cloud.delete(one.name, one.zone)
                if not left:
                    return []
                final = False
            except TpuError as error:
                log.warning("%s", error)
                final = not isinstance(error, Busy)
            if final or self._clock() > end:
                return left
            sleep(min(1.0, patience / 20))

    def _room(self, chips: int, key: str) -> bool:
        """Whether so many chips more are within the cap; makes room by giving idle slices up."""
        while sum(one.chips for one in self.slices.values()) + chips > self._limits.chips:
            idle = [one for one in self.slices.values() if one.idle and one.key != key]
            if not idle:
                return False
            self.drop(min(idle, key=lambda one: one.since))
        return True

    def _free_name(self, stem: str) -> str:
        """The first name of a stem that no slice has had: the same after a lost answer."""
        base = self._base(stem)
        used = self._taken | self.past | self.slices.keys()
        number = 0
        while f"{base}-{number}" in used:
            number += 1
        return f"{base}-{number}"

    def _named(self, stem: str) -> Callable[[str], bool]:
        """Tells whether a name is one of a stem's."""
        base = self._base(stem)
        return lambda name: name.rpartition("-")[0] == base

    def _base(self, stem: str) -> str:
        """A stem as a resource's name may begin."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self._labels[RUN]}-{stem}".lower())[:55].strip("-")

    def _try_delete(self, name: str, zone: str) -> None:
        """Asks for a deletion; the next cycle asks again if this fails."""
        self._deleting.add((name, zone))
        self.past.add(name)
        try:
            self._cloud.delete(name, zone)
        except TpuError as error:
            log.warning("%s", error)
