"""The program on every host of a slice: reads attempts from the mailbox and runs their scripts.

A thread sends heartbeats: it writes the host's status every few seconds. The script runs in a child
process, so that its crash does not end this program and its memory is released.
"""

import contextlib
import dataclasses
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from promptscale.errors import TpuError
from promptscale.storage.atomic import atomic_write
from promptscale.storage.store import Store
from promptscale.tpu.protocol import Completion, Failure, Mailbox, Status, job_id, log_key
from promptscale.tpu.remote_job import RemoteJob, sha256

log = logging.getLogger(__name__)

_FILES_AT_ONCE = 16  # inputs that are downloaded concurrently, which bounds the memory
_TAIL_BYTES = 4000  # of a failed host's log that the controller shows
_GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL


class Worker:
    """Runs the attempts of a host until the process is killed."""

    def __init__(self) -> None:
        """Reads the host's metadata and sends the first heartbeat."""
        self._index = int(_metadata("attributes/agent-worker-number"))
        self._count = int(_metadata("attributes/promptscale-hosts"))
        self._address = _metadata("network-interfaces/0/ip")
        self._interval = float(_metadata("attributes/promptscale-heartbeat"))
        self._home = Path(os.environ["PROMPTSCALE_HOME"])
        self._run = Store(_metadata("attributes/promptscale-root"), TpuError)
        self._slice = Store(_metadata("attributes/promptscale-slice"), TpuError)
        self._lock = threading.Lock()
        content = self._slice.read(f"hosts/{self._index}")
        before = Status.model_validate_json(content) if content else None
        # An earlier worker process of this host may have been interrupted in an attempt.
        interrupted = before and before.state in ("running", "restarted")
        self._status = Status(
            incarnation=uuid.uuid4().hex,
            heartbeat=0,
            state="restarted" if interrupted else "idle",
            attempt=before.attempt if before else None,
        )
        self._publish()

    def serve(self) -> None:
        """Runs attempts; never returns."""
        threading.Thread(target=self._send_heartbeats, daemon=True).start()
        ended = self._status.attempt
        while True:
            attempt = self._read_mailbox()
            if attempt is None or attempt == ended:
                time.sleep(self._interval)
                continue
            self._publish(state="running", attempt=attempt, coordinator=None)
            try:
                self._run_attempt(attempt)
            except Exception as error:  # in this program, not in the script; the slice stays usable
                log.exception("attempt %s", attempt)
                self._fail(attempt, 1, f"{type(error).__name__}: {error}")
            ended = attempt
            self._publish(state="ended")

    def _publish(self, **changes: str | None) -> None:
        """Changes the status and writes it with the next heartbeat."""
        with self._lock:
            update = {"heartbeat": self._status.heartbeat + 1, **changes}
            self._status = self._status.model_copy(update=update)
            self._slice.write(f"hosts/{self._index}", self._status.model_dump_json().encode())

    def _send_heartbeats(self) -> None:
        while True:
            time.sleep(self._interval)
            with _retry_at_next_heartbeat("heartbeat"):
                self._publish()

    def _read_mailbox(self) -> str | None:
        """The attempt in the mailbox; the current attempt if the mailbox cannot be read."""
        with _retry_at_next_heartbeat("mailbox"):
            content = self._slice.read("mailbox.json")
            return Mailbox.model_validate_json(content).attempt if content else None
        return self._status.attempt

    def _run_attempt(self, attempt: str) -> None:
        content = self._run.read(f"jobs/{job_id(attempt)}/job.json")
        if content is None or self._run.read(f"jobs/{job_id(attempt)}/done.json"):
            return
        job = RemoteJob.model_validate_json(content)
        folder = self._home / "work" / attempt
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            self._prepare_folder(job, folder)
            environment = self._script_environment(attempt)
            if environment is None:
                return
            # The script redirects its output to the rule's log; earlier output goes there too.
            output = folder / str(next(iter(job.log.values), "output.log"))
            output.parent.mkdir(parents=True, exist_ok=True)
            code = self._run_script(attempt, folder, output, environment)
            if code == 0 and self._index == 0:
                self._upload(attempt, job, folder, output)
            elif code is not None and code != 0:
                self._fail(attempt, code, _tail(output))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _prepare_folder(self, job: RemoteJob, folder: Path) -> None:
        """Makes the folder that the script runs in; downloaded blobs are cached for later jobs."""
        cache = self._home / "blobs"
        files = {job.script: job.source, **job.files}
        missing = sorted({blob for blob in files.values() if not (cache / blob).exists()})
        for start in range(0, len(missing), _FILES_AT_ONCE):
            keys = [f"blobs/{blob}" for blob in missing[start : start + _FILES_AT_ONCE]]
            for key, content in self._run.read_many(keys).items():
                if content is None:
                    raise TpuError(f"There is no file {self._run.location}/{key}.")
                with atomic_write(cache / Path(key).name) as partial:
                    partial.write_bytes(content)
        for path, blob in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            # With a link instead of a copy the script could change the cached blob.
            shutil.copyfile(cache / blob, folder / path)
        for path in map(str, job.input.values):
            if path not in job.files and not path.startswith("gs://"):
                (folder / path).mkdir(parents=True, exist_ok=True)  # a folder, perhaps empty
        for path in map(str, job.output.values):  # as Snakemake does
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "job.json").write_text(job.model_dump_json())

    def _script_environment(self, attempt: str) -> dict[str, str] | None:
        """The script's environment variables; None if the attempt is cancelled meanwhile.

        On a slice of several hosts this method waits until host 0 has published the address at
        which the processes connect.
        """
        environment = {
            "JAX_COMPILATION_CACHE_DIR": str(self._home / "compiled"),
            "PYTHONUNBUFFERED": "1",
            # The slice may be lost before the results are uploaded. The controller deletes the
            # state when it has the results.
            "PROMPTSCALE_KEEP_STATE": "1",
            **os.environ,
        }
        if self._count == 1:
            return environment
        if self._index == 0:
            with socket.create_server(("", 0)) as server:
                port = server.getsockname()[1]
            self._publish(coordinator=f"{self._address}:{port}")
        while True:
            content = self._slice.read("hosts/0")
            first = Status.model_validate_json(content) if content else None
            if first and first.attempt == attempt and first.coordinator:
                break
            if self._is_cancelled(attempt):
                return None
            time.sleep(self._interval)
        return environment | {
            "JAX_COORDINATOR_ADDRESS": first.coordinator,
            "JAX_NUM_PROCESSES": str(self._count),
            "JAX_PROCESS_ID": str(self._index),
        }

    def _run_script(
        self, attempt: str, folder: Path, output: Path, environment: dict[str, str]
    ) -> int | None:
        """Runs the script and uploads its log; returns its exit code, or None if cancelled."""
        with output.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "promptscale.tpu.run_job", "job.json"],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        upload = _LogUpload(self._run, attempt, self._index, output)
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self._interval)
                with _retry_at_next_heartbeat("log"):
                    upload.send()
                if process.returncode is not None:
                    break
                if self._is_cancelled(attempt):
                    return None
        finally:
            _stop(process)
        if process.returncode == -signal.SIGTERM:
            # The machine is probably being preempted; then this process is killed here, and the
            # attempt counts as interrupted, not as failed.
            time.sleep(_GRACE_SECONDS)
        upload.send()
        return process.returncode

    def _is_cancelled(self, attempt: str) -> bool:
        """Whether another host has failed, or the slice has been assigned another attempt."""
        with _retry_at_next_heartbeat("cancellation"):
            failed = self._run.read(f"jobs/{attempt}/failed.json") is not None
            return failed or self._read_mailbox() != attempt
        return False

    def _upload(self, attempt: str, job: RemoteJob, folder: Path, output: Path) -> None:
        """Uploads the outputs, then `done.json`."""
        outputs = [str(path) for path in job.output.values]
        missing = [path for path in outputs if not (folder / path).exists()]
        if missing:
            text = f"The script ended without its outputs {', '.join(missing)}.\n"
            self._fail(attempt, 1, _tail(output) + text)
            return
        folders = tuple(path for path in outputs if (folder / path).is_dir())
        paths = [p for path in outputs for p in (folder / path, *(folder / path).rglob("*"))]
        files = {str(p.relative_to(folder)): p.read_bytes() for p in paths if p.is_file()}
        self._run.write_many({f"jobs/{attempt}/outputs/{path}": c for path, c in files.items()})
        hashes = {path: sha256(content) for path, content in files.items()}
        completion = Completion(attempt=attempt, files=hashes, folders=folders)
        content = completion.model_dump_json().encode()
        self._run.write(f"jobs/{job_id(attempt)}/done.json", content)

    def _fail(self, attempt: str, code: int, tail: str) -> None:
        """Writes `failed.json` unless another host has written it."""
        failure = Failure(host=self._index, code=code, tail=tail)
        with _retry_at_next_heartbeat("failure"):
            content = failure.model_dump_json().encode()
            self._run.write_if_absent(f"jobs/{attempt}/failed.json", content)


@dataclasses.dataclass
class _LogUpload:
    """Uploads a growing log file in pieces."""

    store: Store
    attempt: str
    host: int
    path: Path
    offset: int = 0  # of the next piece in the file
    number: int = 0  # of the next piece

    def send(self) -> None:
        """Uploads what was appended since the last call."""
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < self.offset:  # the script has truncated the file
                self.offset = 0
            file.seek(self.offset)
            piece = file.read()
        if piece:
            self.store.write(log_key(self.attempt, self.host, self.number), piece)
            self.offset += len(piece)
            self.number += 1


@contextlib.contextmanager
def _retry_at_next_heartbeat(what: str) -> Iterator[None]:
    """Logs an error of the bucket and continues; the caller repeats the request later."""
    try:
        yield
    except TpuError as error:
        log.warning("%s: %s", what, error)


def _metadata(key: str) -> str:
    """A value from the metadata server of this TPU VM."""
    server = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    request = urllib.request.Request(
        f"http://{server}/computeMetadata/v1/instance/{key}", headers={"Metadata-Flavor": "Google"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stops a script and all processes that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
            break


def _tail(path: Path) -> str:
    return path.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # On SIGTERM this program exits through its `finally` clauses, which stop the script.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Worker().serve()
