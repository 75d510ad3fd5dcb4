"""The controller: gives tasks to slices, follows them, and gives them on when a slice is lost.

Nothing here is remembered that cannot be found again in the bucket and in the list of slices, so a
controller that was killed is replaced by one that starts with nothing.
"""

import collections
import itertools
import logging
import math
import queue
import time
import uuid
from collections.abc import Callable

from promptscale.errors import TpuError
from promptscale.tpu.blobs import Blobs
from promptscale.tpu.bucket import Bucket
from promptscale.tpu.cloud import Busy, Cloud, Phase, Shape
from promptscale.tpu.environment import STARTUP, Environment
from promptscale.tpu.outputs import bring
from promptscale.tpu.pending_job import Outcome, Work, explain
from promptscale.tpu.pool import Limits, Pool, Slice
from promptscale.tpu.remote_job import Done, Task
from promptscale.tpu.status import (
    Failure,
    Mail,
    Status,
    host_key,
    log_key,
    parent,
    startup_key,
)

log = logging.getLogger(__name__)

_PIECES = 2  # of a log that are asked for at once


class Dispatcher:
    """Runs tasks on slices: `add` them, and call `cycle` again and again."""

    def __init__(
        self,
        cloud: Cloud,
        bucket: Bucket,
        environment: Environment,
        run: str,
        limits: Limits,
        beat_seconds: float,
        max_interruptions: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`bucket` is this run's folder, `run` its name in labels and names of slices."""
        self._bucket = bucket
        self._environment = environment
        self._beat_seconds = beat_seconds
        self._max_interruptions = max_interruptions
        self._clock = clock
        self.pool = Pool(cloud, run, environment.hash, limits, self._metadata, clock)
        self._new: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._arriving: list[Work] = []  # whose files are being stored
        self._outcomes: list[Outcome] = []
        self._waiting: dict[str, collections.deque[Work]] = {}
        self._running: dict[str, Work] = {}  # by the name of their slice
        self._blobs: Blobs | None = None
        self._told = -math.inf  # when it was last said how much is left to store
        self._forgotten: collections.deque[str] = collections.deque()
        self._gone: set[str] = set()  # tasks that were forgotten
        self._open: set[str] = set()  # tasks that were taken on and not forgotten
        self.interrupted: dict[str, list[str]] = {}  # work that ever was, and by what

    def add(self, work: Work) -> None:
        """Takes work on; may be called from another thread than `cycle`."""
        self._open.add(work.task.id)
        self._new.put(work)

    def forget(self, work: Work) -> None:
        """Has a task removed from the bucket with its state: its outputs are safe here."""
        self._open.discard(work.task.id)
        self._forgotten.append(work.task.id)

    def cycle(self) -> list[Outcome]:
        """Looks at everything once and does what there is to do; the work that ended."""
        try:
            self._cycle()
        except TpuError as error:
            log.warning("%s", error)
            # With slices, this is an outage, and what runs goes on without us. Without any, and
            # where it is not said to pass, something is wrong with the project or the bucket.
            if not self.pool.slices and not isinstance(error, Busy):
                self._give_up(f"{error}\n")
        ended, self._outcomes = self._outcomes, []
        return ended

    def _cycle(self) -> None:
        self._receive()
        for mine in self.pool.refresh():
            content = self._bucket.read(f"slices/{mine.name}/mailbox.json")
            mine.attempt = Mail.model_validate_json(content).attempt if content else None
        seen = self._look()
        for mine in list(self.pool.slices.values()):
            self._hear(mine, seen)
            if work := self._running.get(mine.name):
                self._follow(mine, work, seen)
            else:
                self._follow_unused(mine, seen)
        self.pool.drop_unused()
        for key in list(self._waiting):
            self._assign(key)
        while self._forgotten:
            self._clear(self._forgotten[0])
            self._gone.add(self._forgotten.popleft())

    def close(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Deletes all slices of this run.

        Raises:
          TpuError: some are left.
        """
        try:
            self._recall_zones()
        except TpuError as error:  # the slices that we know of are to be deleted all the same
            log.warning("%s", error)
        left = self.pool.close(sleep)
        # Hosts may have written on after their task was forgotten; now they have all ended. Where
        # all was done, other tasks are what a killed controller had finished with.
        found = {key.split("/")[1] for key in self._bucket.keys("tasks/")}
        if self._open:
            found &= self._gone.union(self._forgotten)
        for identity in found:
            self._clear(identity)
        self._bucket.delete("slices/")
        if left:
            raise TpuError(
                f"These slices could not be deleted and cost money: {', '.join(left)}. "
                "`promptscale tpu reap` tries again."
            )
        self._bucket.delete("zones/")

    def _clear(self, identity: str) -> None:
        """Removes a task; if it is done, also the state that it would have gone on from."""
        task, done = (f"tasks/{identity}/{name}" for name in ("task.json", "done.json"))
        found = self._bucket.read_all([task, done])
        if (content := found[task]) and found[done]:
            state = str(Task.model_validate_json(content).resources.get("state", ""))
            if state.startswith("gs://"):
                folder, _, name = state.rpartition("/")
                Bucket(folder).delete(f"{name}.")
        self._bucket.delete(f"tasks/{identity}/")

    def _give_up(self, error: str) -> None:
        """Ends all work that has not begun."""
        self._take_new()
        works = [work for waiting in self._waiting.values() for work in waiting]
        self._outcomes += [Outcome(work, error) for work in (*works, *self._arriving)]
        self._waiting.clear()
        self._arriving.clear()

    def _take_new(self) -> None:
        while not self._new.empty():
            self._arriving.append(self._new.get())

    def _receive(self) -> None:
        """Stores what new tasks need and queues them.

        A corpus can take hours to store. So tasks that need less come first, and what a beat is
        too short for goes on in the next cycle.
        """
        self._take_new()
        if not self._arriving:
            return
        blobs = self._blobs = self._blobs or self._begin()
        end = self._clock() + self._beat_seconds
        for work in sorted(self._arriving, key=lambda one: blobs.lacking_bytes(one.blobs)):
            while blobs.lacking(work.blobs):
                if self._clock() > end:
                    self._tell_what_is_left(work, blobs.lacking_bytes(work.blobs))
                    return
                blobs.store_some(work.blobs)
            # A controller after this one may have no work in these zones.
            new = set(work.shape.zones) - self.pool.zones
            zones = {f"zones/{zone}": zone.encode() for zone in new}
            task = {f"tasks/{work.task.id}/task.json": work.task.to_bytes()}
            self._bucket.write_all(zones | task)
            self._arriving.remove(work)
            work.key = self.pool.know(work.shape)
            self._waiting.setdefault(work.key, collections.deque()).append(work)

    def _tell_what_is_left(self, work: Work, size: int) -> None:
        """Says, once a minute, what a task still waits for."""
        if self._clock() - self._told > 60:
            self._told = self._clock()
            log.warning("%s waits for %.1f GB of its inputs to be stored", work.title, size / 1e9)

    def _begin(self) -> Blobs:
        """Sees to what is done once: environment, and what earlier controllers left."""
        folder = f"environments/{self._environment.hash}/"
        lacking = self._environment.files.keys() - {
            key.removeprefix(folder) for key in self._bucket.keys(folder)
        }
        self._recall_zones()
        self.pool.past = {key.split("/")[1] for key in self._bucket.keys("slices/")}
        files = self._environment.files
        self._bucket.write_all({f"{folder}{name}": files[name] for name in lacking})
        return Blobs(self._bucket)

    def _recall_zones(self) -> None:
        """Has the pool look where an earlier controller may have left slices."""
        self.pool.watch(key.removeprefix("zones/") for key in self._bucket.keys("zones/"))

    def _look(self) -> dict[str, bytes | None]:
        """Reads, at once, whatever can have changed in the bucket."""
        keys: list[str] = []
        for mine in self.pool.slices.values():
            if mine.phase is Phase.ACTIVE:
                keys += [f"slices/{mine.name}/{host_key(host)}" for host in range(mine.hosts)]
                if not mine.ready:
                    hosts = range(mine.hosts)
                    keys += [f"slices/{mine.name}/{startup_key(host)}" for host in hosts]
            if mine.attempt:
                keys.append(f"tasks/{parent(mine.attempt)}/done.json")
                keys.append(f"tasks/{mine.attempt}/failed.json")
        for work in self._running.values():
            keys += self._pieces(work)
        seen = self._bucket.read_all(keys)
        self.pool.looked()
        return seen

    def _hear(self, mine: Slice, seen: dict[str, bytes | None]) -> None:
        """Takes note of what a slice's hosts say."""
        for host in range(mine.hosts):
            if content := seen.get(f"slices/{mine.name}/{host_key(host)}"):
                self.pool.hear(mine, host, Status.model_validate_json(content))
            if content := seen.get(f"slices/{mine.name}/{startup_key(host)}"):
                why = content.decode(errors="replace").strip().rpartition("\n")[2]
                mine.phase, mine.state, mine.message = Phase.LOST, "its set-up failed", why

    def _follow(self, mine: Slice, work: Work, seen: dict[str, bytes | None]) -> None:
        """Sees whether work has ended, or lost its slice."""
        ended = self._certainly_ended(mine, work)
        done = seen.get(f"tasks/{work.task.id}/done.json")
        failed = seen.get(f"tasks/{work.attempt}/failed.json")
        self._copy_log(work, seen, to_the_end=bool(done or failed))
        if done:
            outcome = self._finish(work, Done.model_validate_json(done))
            self._release(mine)
            self._outcomes.append(outcome)
        elif reason := self.pool.trouble(mine):
            self._interrupt(mine, work, reason)
        elif ended and failed:
            self._release(mine)
            error = explain(work, mine.name, Failure.model_validate_json(failed))
            self._outcomes.append(Outcome(work, error))
        elif ended:
            self._interrupt(mine, work, "it ended without a result")

    def _follow_unused(self, mine: Slice, seen: dict[str, bytes | None]) -> None:
        """A slice without work of ours: it may have been lost, or have ended what it was at."""
        attempt = mine.attempt
        if attempt:
            ended = mine.ready and all(
                one.attempt == attempt and one.state != "running" for one in mine.statuses.values()
            )
            if ended or seen.get(f"tasks/{parent(attempt)}/done.json"):
                self._release(mine)
        reason = self.pool.trouble(mine)
        if reason is None:
            return
        self.pool.drop(mine)
        waiting = self._waiting.get(mine.key)
        if waiting and not mine.statuses and mine.phase is not Phase.COMING:
            # A slice that never came up counts for the work that waits for it, so that this ends.
            self._count(waiting.popleft(), f"{mine.name}: {reason}")

    def _certainly_ended(self, mine: Slice, work: Work) -> bool:
        """Whether all hosts have ended an attempt and are still alive.

        A host that is taken away can fail, or make others fail, before the cloud says so. So all
        hosts must have lived on a beat longer.
        """
        if not mine.ready or not all(
            one.attempt == work.attempt and one.state != "running" for one in mine.statuses.values()
        ):
            return False
        beats = {host: beat[:2] for host, beat in mine.beats.items()}
        work.ended = work.ended or beats
        return all(beats[host] != beat for host, beat in work.ended.items())

    def _interrupt(self, mine: Slice, work: Work, reason: str) -> None:
        """Gives work on to another slice, from its last state."""
        self._running.pop(mine.name)
        self.pool.drop(mine)
        self._count(work, f"{mine.name}: {reason}")

    def _count(self, work: Work, reason: str) -> None:
        """Counts an interruption and queues the work again, unless there were too many."""
        work.attempt, work.checked = None, False
        work.interruptions.append(reason)
        self.interrupted[work.title] = work.interruptions
        number = len(work.interruptions)
        log.warning("%s was interrupted (%d so far): %s", work.title, number, reason)
        if number > self._max_interruptions:
            reasons = "".join(f"  {one}\n" for one in work.interruptions[-5:])
            error = f"{work.title} was interrupted {number} times:\n{reasons}"
            self._outcomes.append(Outcome(work, error))
            return
        if work.log and work.log.exists():
            with work.log.open("a") as opened:
                opened.write(f"--- interrupted ({number}): {reason} ---\n")
        self._waiting.setdefault(work.key, collections.deque()).appendleft(work)

    def _release(self, mine: Slice) -> None:
        """Makes a slice free for other work. Its hosts know what they have ended."""
        self._running.pop(mine.name, None)
        mine.attempt, mine.claimed, mine.since = None, True, self._clock()

    def _assign(self, key: str) -> None:
        """Adopts what runs already, finishes what is done already, starts what can be started."""
        waiting = self._waiting[key]
        running = {parent(one.attempt): one for one in self.pool.slices.values() if one.attempt}
        for work in [one for one in waiting if one.task.id in running]:
            mine = running[work.task.id]
            if not mine.claimed and mine.attempt:
                waiting.remove(work)
                self._start(mine, work, mine.attempt)
        unchecked = [one for one in waiting if not one.checked]
        found = self._bucket.read_all(f"tasks/{one.task.id}/done.json" for one in unchecked)
        for work in unchecked:
            if content := found[f"tasks/{work.task.id}/done.json"]:
                done = Done.model_validate_json(content)
                self._begin_log(work, done.attempt)
                self._copy_log(work, {}, to_the_end=True)
                self._outcomes.append(self._finish(work, done))
                waiting.remove(work)
            work.checked = True
        idle = [one for one in self.pool.slices.values() if one.key == key and one.idle]
        while waiting and idle:
            work, mine = waiting[0], idle.pop()
            attempt = f"{work.task.id}/{uuid.uuid4().hex[:12]}"
            mail = Mail(attempt=attempt).model_dump_json().encode()
            self._bucket.write(f"slices/{mine.name}/mailbox.json", mail)
            self._start(mine, waiting.popleft(), attempt)
        if waiting:
            try:
                self.pool.provide(key, [work.stem for work in waiting])
            except TpuError as error:  # it will never create them
                self._outcomes += [Outcome(work, f"{error}\n") for work in waiting]
                waiting.clear()

    def _start(self, mine: Slice, work: Work, attempt: str) -> None:
        """Notes that a slice works on something."""
        mine.attempt, mine.claimed, mine.since = attempt, True, self._clock()
        self._running[mine.name] = work
        self._begin_log(work, attempt)

    def _begin_log(self, work: Work, attempt: str) -> None:
        """The log of a job is that of all its attempts, one after the other."""
        work.attempt, work.pieces, work.ended = attempt, 0, None
        if work.log and not work.interruptions:
            work.log.parent.mkdir(parents=True, exist_ok=True)
            work.log.write_bytes(b"")

    def _pieces(self, work: Work) -> list[str]:
        """The next pieces of host 0's log, if anyone wants it."""
        if work.log is None or work.attempt is None:
            return []
        numbers = range(work.pieces, work.pieces + _PIECES)
        return [log_key(work.attempt, 0, number) for number in numbers]

    def _copy_log(self, work: Work, seen: dict[str, bytes | None], *, to_the_end: bool) -> None:
        """Appends what host 0 has written since to the rule's log."""
        while keys := self._pieces(work):
            pieces = self._bucket.read_all(keys) if to_the_end else seen
            found = list(itertools.takewhile(bool, (pieces.get(key) for key in keys)))
            if found and work.log:
                with work.log.open("ab") as opened:
                    opened.write(b"".join(filter(None, found)))
            work.pieces += len(found)
            if not to_the_end or len(found) < _PIECES:
                return

    def _finish(self, work: Work, done: Done) -> Outcome:
        """Brings the outputs here; where that is not possible, the work is to be done again."""
        damaged = bring(self._bucket, done, work.outputs)
        if damaged:
            self._bucket.delete(f"tasks/{work.task.id}/")
            return Outcome(work, f"Outputs of {work.title} are damaged: {', '.join(damaged)}.")
        return Outcome(work)

    def _metadata(self, name: str, shape: Shape) -> dict[str, str]:
        """What a slice's hosts need to know; no credential is among it."""
        return {
            "startup-script": STARTUP,
            "promptscale-environment": self._environment.hash,
            "promptscale-root": self._bucket.location,
            "promptscale-slice": f"{self._bucket.location}/slices/{name}",
            "promptscale-hosts": str(shape.hosts),
            "promptscale-beat": str(self._beat_seconds),
        }
