"""The owner of a saved state: the only process that may write it.

The owner names itself in the file `<state>.owner`, and renews the file every few seconds. Another
process on the same machine sees whether the owner still runs; a process on another machine waits
until the file has not been renewed for some time. The clocks of machines are not compared. No lock
of a file system is used, as network file systems and buckets need not have locks.
"""

import contextlib
import datetime
import logging
import os
import socket
import threading
import uuid
from pathlib import Path
from time import monotonic, sleep

import psutil
from pydantic import ValidationError

from promptscale.config.settings import Strict
from promptscale.errors import CheckpointError
from promptscale.storage.store import Store

log = logging.getLogger(__name__)

RENEW_SECONDS = 10.0
SILENT_SECONDS = 60.0  # after which an owner on another machine counts as dead
# In which a process on this machine ends that is being stopped; the worker kills it after 5 s.
GRACE_SECONDS = 15.0
_SAME_START = 5.0  # seconds; start times of a process are as exact as the system's clock


class Owner(Strict):
    """The content of the file; `name` is unique and `renewals` makes each content different."""

    name: str
    host: str
    machine: str
    pid: int
    started: float
    since: str
    renewals: int = 0

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Ownership:
    """This process's claim to a state."""

    def __init__(self, store: Store, key: str, location: str) -> None:
        """Claims nothing yet; the file is `key` in `store`, `location` names the state."""
        self._store = store
        self._key = key
        self._location = location
        self._owner = Owner(
            name=uuid.uuid4().hex,
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            since=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        )
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def acquire(self) -> None:
        """Makes this process the owner, at once unless another process owns the state.

        Raises:
          CheckpointError: another process owns the state and is alive, or the file cannot be
            written.
        """
        owner = self._read()
        if owner and self._is_alive(owner):
            raise CheckpointError(
                f"The state {self._location} is in use by {owner}; wait until that process ends, "
                "or stop it."
            )
        self._write()
        threading.Thread(target=self._renew_repeatedly, daemon=True).start()

    def confirm(self) -> None:
        """Checks that this process is still the owner.

        Raises:
          CheckpointError: another process has become the owner.
        """
        if (owner := self._read()) is None or owner.name != self._owner.name:
            by = f"is now owned by {owner}" if owner else "has no owner any more"
            raise CheckpointError(
                f"The state {self._location} {by}; this process stops without writing it."
            )

    def release(self) -> None:
        """Ends the claim; errors are ignored, because the claim also ends with the process."""
        self._ended.set()
        with self._lock, contextlib.suppress(CheckpointError):
            owner = self._read()
            if owner and owner.name == self._owner.name:
                self._store.delete(self._key)

    def _is_alive(self, owner: Owner) -> bool:
        """Whether an owner runs; waits for the end of a process that is being stopped."""
        here = owner.machine == self._owner.machine
        patience = GRACE_SECONDS if here else 2 * SILENT_SECONDS
        log.info("waiting to see whether the owner of the state is alive: %s", owner)
        start = renewed = monotonic()
        while _is_running(owner) if here else monotonic() - renewed < SILENT_SECONDS:
            if monotonic() - start > patience:
                return True
            sleep(patience / 20)
            latest = self._read()
            if latest is None:
                return False
            if latest != owner:
                owner, renewed = latest, monotonic()
        return False

    def _renew_repeatedly(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                with self._lock:
                    if self._ended.is_set():
                        return
                    self.confirm()
                    renewals = self._owner.renewals + 1
                    self._owner = self._owner.model_copy(update={"renewals": renewals})
                    self._write()
            except CheckpointError as error:  # the next save fails if another process is the owner
                log.warning("%s", error)

    def _read(self) -> Owner | None:
        """The owner; None if there is none, or if the file is damaged."""
        content = self._store.read(self._key)
        try:
            return Owner.model_validate_json(content) if content else None
        except ValidationError:
            return None

    def _write(self) -> None:
        self._store.write(self._key, self._owner.model_dump_json().encode())


def _machine() -> str:
    """A name of the place whose process ids this process sees: a boot of a host, or a container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # not Linux
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _is_running(owner: Owner) -> bool:
    """Whether a process of this machine runs, and is another process than this."""
    try:
        process = psutil.Process(owner.pid)
        same = abs(process.create_time() - owner.started) < _SAME_START
        return same and process.status() != psutil.STATUS_ZOMBIE and owner.pid != os.getpid()
    except psutil.NoSuchProcess:
        return False
