"""The program on every host of a slice: takes attempts from the mailbox and runs their scripts.

A host beats: it writes its status anew every few seconds, whatever else it does. The script is a
child process, so neither a crash nor the memory of one attempt outlives it.
"""

import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promptscale.errors import TpuError
from promptscale.tpu.bucket import Bucket
from promptscale.tpu.metadata import Host, this_host
from promptscale.tpu.remote_job import Done, Task, sha256
from promptscale.tpu.status import Failure, Mail, Status, host_key, log_key, parent

log = logging.getLogger(__name__)

_AT_ONCE = 16  # inputs that are fetched at a time, which bounds the memory that it takes
_TAIL = 4000  # bytes of a failed host's log that the controller shows
_GRACE = 5.0  # seconds between asking a script to stop and killing it


class Worker:
    """One host's work, until it is killed."""

    def __init__(self, host: Host) -> None:
        """Publishes the first beat."""
        self._host = host
        self._run = Bucket(host.root)
        self._slice = Bucket(host.slice)
        self._lock = threading.Lock()
        self._status = Status(incarnation=uuid.uuid4().hex, beat=0, **self._left_behind())
        self._publish()

    def serve(self) -> None:
        """Takes attempt after attempt; returns never."""
        threading.Thread(target=self._beat, daemon=True).start()
        ended = self._status.attempt
        while True:
            attempt = self._mail()
            if attempt is None or attempt == ended:
                time.sleep(self._host.beat_seconds)
                continue
            self._publish(state="running", attempt=attempt, coordinator=None)
            try:
                self._work(attempt)
            except Exception as error:  # of this program, not of the script; the slice is of use
                log.exception("attempt %s", attempt)
                self._fail(attempt, 1, f"{type(error).__name__}: {error}")
            ended = attempt
            self._publish(state="ended")

    def _left_behind(self) -> dict[str, Any]:
        """Says `restarted` where an earlier worker of this host was interrupted."""
        content = self._slice.read(host_key(self._host.index))
        if content is None:
            return {}
        before = Status.model_validate_json(content)
        state = "restarted" if before.state in ("running", "restarted") else "idle"
        return {"state": state, **({"attempt": before.attempt} if before.attempt else {})}

    def _publish(self, **changes: str | None) -> None:
        with self._lock:
            update = {"beat": self._status.beat + 1, **changes}
            self._status = self._status.model_copy(update=update)
            self._slice.write(host_key(self._host.index), self._status.model_dump_json().encode())

    def _beat(self) -> None:
        while True:
            time.sleep(self._host.beat_seconds)
            with _going_on("beat"):
                self._publish()

    def _mail(self) -> str | None:
        with _going_on("mailbox"):
            content = self._slice.read("mailbox.json")
            return Mail.model_validate_json(content).attempt if content else None
        return self._status.attempt  # unread: as before

    def _work(self, attempt: str) -> None:
        content = self._run.read(f"tasks/{parent(attempt)}/task.json")
        if content is None or self._run.read(f"tasks/{parent(attempt)}/done.json"):
            return
        task = Task.model_validate_json(content)
        folder = self._host.home / "work" / attempt
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            self._fetch(task, folder)
            environment = self._meet(attempt)
            if environment is None:
                return
            # The script may redirect itself to the rule's log; what it prints before goes there.
            output = folder / str(next(iter(task.log.values), "output.log"))
            output.parent.mkdir(parents=True, exist_ok=True)
            code = self._script(attempt, folder, output, environment)
            if code == 0 and self._host.index == 0:
                self._upload(attempt, task, folder, output)
            elif code is not None and code != 0:
                self._fail(attempt, code, _tail(output))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _fetch(self, task: Task, folder: Path) -> None:
        """Puts inputs and script where the script expects them; blobs stay for later tasks."""
        cache = self._host.home / "blobs"
        cache.mkdir(exist_ok=True)
        wanted = {task.script: task.source, **task.files}
        lacking = sorted({one for one in wanted.values() if not (cache / one).exists()})
        for start in range(0, len(lacking), _AT_ONCE):
            keys = [f"blobs/{one}" for one in lacking[start : start + _AT_ONCE]]
            for key, content in self._run.read_all(keys).items():
                if content is None:
                    raise TpuError(f"The bucket lacks {key}.")
                partial = cache / f"{Path(key).name}.partial"
                partial.write_bytes(content)
                partial.replace(cache / Path(key).name)
        for path, one in wanted.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cache / one, folder / path)  # a link would let a script change the blob
        for path in map(str, task.input.values):
            if path not in task.files and not path.startswith("gs://"):
                # A folder, perhaps an empty one, that has no files to make it.
                (folder / path).mkdir(parents=True, exist_ok=True)
        for path in map(str, task.output.values):  # as Snakemake does
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "task.json").write_bytes(task.to_bytes())

    def _meet(self, attempt: str) -> dict[str, str] | None:
        """The environment of the script, once all know where they meet; None: called off."""
        host = self._host
        environment = {
            "JAX_COMPILATION_CACHE_DIR": str(host.home / "compiled"),
            "PYTHONUNBUFFERED": "1",
            # The results have still to leave this machine; the controller has the state deleted.
            "PROMPTSCALE_KEEP_STATE": "1",
            **os.environ,
        }
        if host.count == 1:
            return environment
        if host.index == 0:
            self._publish(coordinator=f"{host.address}:{_free_port()}")
        while True:
            content = self._slice.read(host_key(0))
            first = Status.model_validate_json(content) if content else None
            if first and first.attempt == attempt and first.coordinator:
                break
            if self._called_off(attempt):
                return None
            time.sleep(host.beat_seconds)
        return environment | {
            "JAX_COORDINATOR_ADDRESS": first.coordinator,
            "JAX_NUM_PROCESSES": str(host.count),
            "JAX_PROCESS_ID": str(host.index),
        }

    def _script(
        self, attempt: str, folder: Path, output: Path, environment: dict[str, str]
    ) -> int | None:
        """Runs the script and sends its log off; its exit status, None where it was called off."""
        with output.open("ab") as opened:
            process = subprocess.Popen(
                [sys.executable, "-m", "promptscale.tpu.run_job", "task.json"],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=opened,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        sent = _LogSender(self._run, attempt, self._host.index, output)
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self._host.beat_seconds)
                with _going_on("log"):
                    sent.send()
                if process.returncode is not None:
                    break
                if self._called_off(attempt):
                    return None
        finally:
            _stop(process)
        if process.returncode == -signal.SIGTERM:
            time.sleep(_GRACE)  # the machine is being taken away, and we are next
        sent.send()
        return process.returncode

    def _called_off(self, attempt: str) -> bool:
        """Whether another host has failed, or the slice is wanted for something else."""
        with _going_on("signs"):
            failed = self._run.read(f"tasks/{attempt}/failed.json") is not None
            return failed or self._mail() != attempt
        return False

    def _upload(self, attempt: str, task: Task, folder: Path, output: Path) -> None:
        outputs = [str(path) for path in task.output.values]
        missing = [path for path in outputs if not (folder / path).exists()]
        if missing:
            text = f"The script ended without making {', '.join(missing)}.\n"
            self._fail(attempt, 1, _tail(output) + text)
            return
        folders = tuple(path for path in outputs if (folder / path).is_dir())
        files = [folder / path for path in outputs if path not in folders]
        for path in folders:
            files += [one for one in (folder / path).rglob("*") if one.is_file()]
        contents = {str(file.relative_to(folder)): file.read_bytes() for file in files}
        self._run.write_all({
            f"tasks/{attempt}/outputs/{path}": content for path, content in contents.items()
        })  # fmt: skip
        hashes = {path: sha256(content) for path, content in contents.items()}
        done = Done(attempt=attempt, files=hashes, folders=folders)
        self._run.write(f"tasks/{parent(attempt)}/done.json", done.model_dump_json().encode())

    def _fail(self, attempt: str, code: int, tail: str) -> None:
        failure = Failure(host=self._host.index, code=code, tail=tail)
        with _going_on("failure"):
            content = failure.model_dump_json().encode()
            self._run.write_first(f"tasks/{attempt}/failed.json", content)


class _LogSender:
    """Sends what a growing file has gained, piece by piece."""

    def __init__(self, bucket: Bucket, attempt: str, host: int, path: Path) -> None:
        self._bucket = bucket
        self._attempt = attempt
        self._host = host
        self._path = path
        self._offset = 0
        self._number = 0

    def send(self) -> None:
        """Sends the next piece, if there is any."""
        with self._path.open("rb") as opened:
            if opened.seek(0, 2) < self._offset:  # begun anew by the script
                self._offset = 0
            opened.seek(self._offset)
            piece = opened.read()
        if piece:
            self._bucket.write(log_key(self._attempt, self._host, self._number), piece)
            self._offset += len(piece)
            self._number += 1


@contextlib.contextmanager
def _going_on(what: str) -> Iterator[None]:
    """Lets a bucket that does not answer be asked again at the next beat."""
    try:
        yield
    except TpuError as error:
        log.warning("%s: %s", what, error)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a script and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
            break


def _tail(path: Path) -> str:
    return path.read_bytes()[-_TAIL:].decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # Whoever takes the machine away ends this program, and with it the script.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Worker(this_host()).serve()
