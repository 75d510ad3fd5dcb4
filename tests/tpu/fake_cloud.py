"""A Cloud TPU v2 service on this machine, for Google's client; faults make it lose slices.

A slice's hosts are processes that run the start-up script, with a metadata server. They need not
install anything: their Python is the Python that runs the tests.
"""

import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from promptscale.config.accelerators import accelerators

from .fake_bucket import FakeBucket, Handler, Server, bucket_environment

REPOSITORY = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Faults:
    """Faults, as probabilities per attempt, per creation or per call.

    Attributes:
      preempted: a slice is preempted within `within` seconds after it was assigned an attempt.
      host_dies: a single host dies within that time.
      outages: numbers of written training states after which all slices are preempted.
      uploads: the number of jobs whose first upload of outputs is interrupted by a preemption.
      stuck: a created slice stays queued.
      lost_answer: a creation succeeds, but its answer is an error.
      error: a call fails with status 503.
      quota: the number of chips in use at most.
      bare: hosts have no environment; they can reach a `registry` of packages, or none.
    """

    preempted: float = 0.0
    host_dies: float = 0.0
    within: float = 3.0
    outages: tuple[int, ...] = ()
    uploads: int = 0
    stuck: float = 0.0
    lost_answer: float = 0.0
    error: float = 0.0
    quota: float = float("inf")
    bare: bool = False
    registry: bool = False
    provision_seconds: float = 0.1


@dataclasses.dataclass
class _Slice:
    name: str
    body: dict
    state: str
    hosts: list[subprocess.Popen]
    chips: int
    message: str = ""


class FakeCloud:
    """The fake service.

    Attributes:
      created: the names of all created slices, in order.
      attempts: the attempts that were written to mailboxes.
      wasted: the attempts of jobs that were already done.
      calls: the number of calls by method.
      states: the number of training states that were written.
      uploads: the jobs whose upload was interrupted.
    """

    def __init__(
        self,
        folder: Path,
        bucket: FakeBucket,
        faults: Faults,
        seed: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = environment or {}
        self.faults = faults
        self.created: list[str] = []
        self.deleted: list[str] = []
        self.preempted: list[str] = []
        self.attempts: list[str] = []
        self.wasted: list[str] = []
        self.calls: Counter[str] = Counter()
        self.states = 0
        self.uploads: list[str] = []
        self.folder = folder
        self._bucket = bucket
        self._random = random.Random(seed)
        self._slices: dict[str, _Slice] = {}
        self._lock = threading.RLock()
        self._timers: list[threading.Timer] = []
        self._server = Server(("127.0.0.1", 0), type("Cloud", (_CloudHandler,), {"cloud": self}))
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        bucket.watch = self._watch

    @property
    def slices(self) -> dict[str, str]:
        """The states of all slices by name."""
        with self._lock:
            return {name: slice_.state for name, slice_ in self._slices.items()}

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        with self._lock:
            for slice_ in self._slices.values():
                self._kill(slice_.hosts)
        self._server.shutdown()
        self._server.server_close()

    def preempt(self, name: str, kind: str = "SUSPENDED") -> None:
        """Preempts a slice: its state becomes SUSPENDED or FAILED, or it disappears (GONE)."""
        with self._lock:
            slice_ = self._slices.get(name)
            if slice_ is None or slice_.state != "ACTIVE":
                return
            self.preempted.append(name)
            self._kill(slice_.hosts)
            slice_.state, slice_.message = kind, "preempted" if kind == "FAILED" else ""
            if kind == "GONE":
                del self._slices[name]

    def kill_host(self, name: str, index: int) -> None:
        """Kills a host; the state of its slice stays ACTIVE."""
        with self._lock:
            if name in self._slices and index < len(self._slices[name].hosts):
                self.preempted.append(f"{name} host {index}")
                self._kill([self._slices[name].hosts[index]])

    def _watch(self, name: str, content: bytes) -> None:
        """Triggers faults when an attempt, a training state or an output is written."""
        if "/state/" in name:
            with self._lock:
                self.states += 1
                lost = [*self._slices] if self.states in self.faults.outages else []
            for slice_name in lost:
                self.preempt(slice_name)
        if "/outputs/" in name:
            self._interrupt_upload(name.partition("/jobs/")[2])
        if not name.endswith("/mailbox.json"):
            return
        slice_name = name.split("/")[-2]
        attempt = json.loads(content)["attempt"]
        if attempt is None:  # a slice that is being deleted has to stop
            return
        self.attempts.append(attempt)
        job = f"{name.partition('/slices/')[0]}/jobs/{attempt.partition('/')[0]}"
        if f"{job}/done.json" in self._bucket.objects:
            self.wasted.append(attempt)
        with self._lock:
            roll, delay = self._random.random(), self._random.uniform(0, self.faults.within)
            kind = self._random.choice(["SUSPENDED", "FAILED", "GONE"])
            slice_ = self._slices.get(slice_name)
            hosts = len(slice_.hosts) if slice_ else 0
            host = self._random.randrange(hosts) if hosts else 0
        if roll < self.faults.preempted:
            self._later(delay, lambda: self.preempt(slice_name, kind))
        elif roll < self.faults.preempted + self.faults.host_dies:
            self._later(delay, lambda: self.kill_host(slice_name, host))

    def _interrupt_upload(self, attempt: str) -> None:
        """Preempts the slice of an attempt whose outputs are being uploaded."""
        job, number = attempt.split("/")[:2]
        attempt = f"{job}/{number}"
        with self._lock:
            interrupt = len(self.uploads) < self.faults.uploads and job not in self.uploads
            if interrupt:
                self.uploads.append(job)
        if interrupt:
            for name in self.slices:
                mail = self._bucket.find(f"/slices/{name}/mailbox.json")
                if mail and json.loads(mail)["attempt"] == attempt:
                    self.preempt(name)

    def create(self, zone: str, name: str, body: dict) -> tuple[int, dict]:
        """Creates a slice; its hosts start after `provision_seconds`."""
        with self._lock:
            if name in self._slices:
                return 409, {"error": {"code": 409, "message": f"{name} already exists"}}
            node = body["tpu"]["nodeSpec"][0]["node"]
            kind = accelerators()[node["acceleratorType"]]
            used = sum(slice_.chips for slice_ in self._slices.values())
            if used + kind.chips > self.faults.quota:
                return 429, {"error": {"code": 429, "message": "Quota exceeded for chips"}}
            self.created.append(name)
            full = f"projects/p/locations/{zone}/queuedResources/{name}"
            self._slices[name] = _Slice(name, {**body, "name": full}, "ACCEPTED", [], kind.chips)
            if self._random.random() < self.faults.stuck:
                self._slices[name].state = "WAITING_FOR_RESOURCES"
            else:
                delay = self.faults.provision_seconds
                self._later(delay, lambda: self._activate(name, kind.hosts))
            if self._random.random() < self.faults.lost_answer:
                return 503, {"error": {"code": 503, "message": "the answer was lost"}}
        return 200, {"name": f"operations/{name}", "done": False}

    def delete(self, name: str) -> tuple[int, dict]:
        with self._lock:
            if name not in self._slices:
                return 404, {"error": {"code": 404, "message": f"{name} not found"}}
            self.deleted.append(name)
            self._kill(self._slices[name].hosts)
            self._slices[name].state = "DELETING"
        self._later(0.1, lambda: self._slices.pop(name, None))
        return 200, {"name": f"operations/{name}", "done": False}

    def listed(self, zone: str) -> dict:
        with self._lock:
            return {
                "queuedResources": [
                    slice_.body
                    | {
                        "state": {
                            "state": slice_.state,
                            **(
                                {"failedData": {"error": {"code": 10, "message": slice_.message}}}
                                if slice_.message
                                else {}
                            ),
                        }
                    }
                    for slice_ in self._slices.values()
                    if f"/locations/{zone}/" in slice_.body["name"]
                ]
            }

    def broken(self) -> bool:
        """Whether the current call fails."""
        with self._lock:
            return self._random.random() < self.faults.error

    def metadata(self, name: str, host: int, key: str) -> str | None:
        """The answer of a host's metadata server; None for an unknown key."""
        with self._lock:
            slice_ = self._slices.get(name)
            node = slice_.body["tpu"]["nodeSpec"][0]["node"] if slice_ else {"metadata": {}}
        if key == "network-interfaces/0/ip":
            return "127.0.0.1"
        attribute = key.removeprefix("attributes/")
        return node["metadata"].get(attribute, {"agent-worker-number": str(host)}.get(attribute))

    def _activate(self, name: str, hosts: int) -> None:
        with self._lock:
            slice_ = self._slices.get(name)
            if slice_ is None or slice_.state != "ACCEPTED":
                return
            node = slice_.body["tpu"]["nodeSpec"][0]["node"]
            slice_.state = "ACTIVE"
            slice_.hosts = [self._boot(name, host, node["metadata"]) for host in range(hosts)]

    def _boot(self, name: str, host: int, metadata: dict[str, str]) -> subprocess.Popen:
        home = self.folder / name / f"host-{host}"
        folder = home / metadata["promptscale-environment"]
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        python = folder / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        gcloud = home / "tools" / "gcloud"
        gcloud.parent.mkdir(exist_ok=True)
        gcloud.write_text(
            f"#!/bin/sh\nexport PYTHONPATH='{REPOSITORY}:{REPOSITORY}/src'\n"
            f'exec "{sys.executable}" -m tests.tpu.fake_gcloud "$@"\n'
        )
        gcloud.chmod(0o755)
        if not self.faults.bare:
            (folder / "complete").touch()
        script = home / "startup.sh"
        script.write_text(metadata["startup-script"])
        environment = os.environ | {
            "GCE_METADATA_HOST": f"{self.address}/{name}/{host}",
            "PROMPTSCALE_HOME": str(home),
            "PATH": f"{gcloud.parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{REPOSITORY}:{os.environ.get('PYTHONPATH', '')}",
            **(_registry() if self.faults.registry else {"PIP_NO_INDEX": "1"}),
            "JAX_PLATFORMS": "cpu",
            **bucket_environment(self._bucket),
            **self._environment,
        }
        with (home / "host.log").open("ab") as log:
            return subprocess.Popen(
                ["bash", str(script)],
                cwd=home,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @staticmethod
    def _kill(hosts: list[subprocess.Popen]) -> None:
        """Kills all processes in the sessions of these hosts."""
        sessions = {host.pid for host in hosts}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, ProcessLookupError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[3]) in sessions:
                        os.kill(int(entry.name), signal.SIGKILL)
        for host in hosts:
            with contextlib.suppress(subprocess.TimeoutExpired):
                host.wait(1)

    def _later(self, seconds: float, function) -> None:
        timer = threading.Timer(seconds, function)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()


class _CloudHandler(Handler):
    cloud: FakeCloud

    def _where(self) -> tuple[str, str]:
        parts = urlsplit(self.path).path.split("/")
        # /v2/projects/p/locations/ZONE/queuedResources[/NAME]
        return parts[5], parts[7] if len(parts) > 7 else ""

    def _counted(self, method: str) -> bool:
        self.cloud.calls[method] += 1
        if "/projects/forbidden/" in self.path:
            self.answer_json({"error": {"code": 403, "message": "Permission denied"}}, 403)
            return False
        if self.cloud.broken():
            self.answer_json({"error": {"code": 503, "message": "try again"}}, 503)
            return False
        return True

    def do_GET(self) -> None:
        if "/computeMetadata/" in self.path:
            slice_, host = self.path.split("/")[1:3]
            key = self.path.partition("/computeMetadata/v1/instance/")[2]
            value = self.cloud.metadata(slice_, int(host), key)
            if value is None:
                self.answer(404)
            else:
                self.answer(200, value.encode())
        elif self._counted("list"):
            self.answer_json(self.cloud.listed(self._where()[0]))

    def do_POST(self) -> None:
        body = json.loads(self.body())
        if self._counted("create"):
            name = parse_qs(urlsplit(self.path).query)["queuedResourceId"][0]
            status, content = self.cloud.create(self._where()[0], name, body)
            self.answer_json(content, status)

    def do_DELETE(self) -> None:
        if self._counted("delete"):
            status, content = self.cloud.delete(self._where()[1])
            self.answer_json(content, status)


def _registry() -> dict[str, str]:
    """Variables that make uv use the registry and the certificates that pip is configured for."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True).stdout
    settings = {
        key.rpartition(".")[2]: value.strip("'")
        for key, value in (line.split("=", 1) for line in listed.splitlines())
    }
    variables = {"index-url": "UV_INDEX_URL", "cert": "SSL_CERT_FILE"}
    return {variables[key]: settings[key] for key in variables if key in settings}


def wait_until(condition, seconds: float = 60.0, what: str = "the condition") -> None:
    """Waits until `condition()` is true; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} was not met within {seconds} s")
        time.sleep(0.05)
