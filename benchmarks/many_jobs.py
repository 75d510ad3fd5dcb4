"""Cost of controlling many jobs on TPU slices: `python -m benchmarks.many_jobs --jobs 1500`.

Snakemake, the executor and Google's client are real. The cloud is a fake, and so are the hosts of
its slices, which report each job as done after some seconds without running it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.tpu.fake_bucket import FakeBucket, bucket_environment
from tests.tpu.fake_cloud import FakeCloud, Faults

from promptscale.tpu.protocol import Completion, Status, job_id, log_key
from promptscale.tpu.remote_job import sha256

HERE = Path(__file__).parent


class SimulatedCloud(FakeCloud):
    """A cloud whose hosts are simulated in this process."""

    def __init__(self, folder: Path, bucket: FakeBucket, seconds: float, heartbeat: float) -> None:
        super().__init__(folder, bucket, Faults(provision_seconds=1.0))
        self.first_request: float | None = None
        self._seconds, self._heartbeat = seconds, heartbeat
        self._statuses: dict[str, Status] = {}
        threading.Thread(target=self._send_heartbeats, daemon=True).start()

    def create(self, zone: str, name: str, body: dict) -> tuple[int, dict]:
        self.first_request = self.first_request or time.monotonic()
        return super().create(zone, name, body)

    def _activate(self, name: str, hosts: int) -> None:
        with self._lock:
            slice_ = self._slices[name]
            slice_.state = "ACTIVE"
            metadata = slice_.body["tpu"]["nodeSpec"][0]["node"]["metadata"]
        folder = metadata["promptscale-slice"].removeprefix("gs://")
        self._write_status(folder, Status(incarnation="first", heartbeat=0))

    def _watch(self, name: str, content: bytes) -> None:
        super()._watch(name, content)
        if name.endswith("/mailbox.json"):
            folder, attempt = name.removesuffix("/mailbox.json"), json.loads(content)["attempt"]
            self._change(folder, state="running", attempt=attempt)
            self._later(self._seconds, lambda: self._finish(folder, attempt))

    def _finish(self, folder: str, attempt: str) -> None:
        root, identity = folder.partition("/slices/")[0], job_id(attempt)
        job = json.loads(self._bucket.objects[f"{root}/jobs/{identity}/job.json"][1])
        path = job["output"]["values"][0]
        self._bucket.put(f"{root}/jobs/{attempt}/outputs/{path}", b"done\n", None)
        self._bucket.put(f"{root}/{log_key(attempt, 0, 0)}", b"trained\n", None)
        done = Completion(attempt=attempt, files={path: sha256(b"done\n")}, folders=())
        content = done.model_dump_json().encode()
        self._bucket.put(f"{root}/jobs/{identity}/done.json", content, None)
        self._change(folder, state="ended")

    def _change(self, folder: str, **changes: str) -> None:
        before = self._statuses[folder]
        update = {"heartbeat": before.heartbeat + 1, **changes}
        self._write_status(folder, before.model_copy(update=update))

    def _write_status(self, folder: str, status: Status) -> None:
        self._statuses[folder] = status
        self._bucket.put(f"{folder}/hosts/0", status.model_dump_json().encode(), None)

    def _send_heartbeats(self) -> None:
        while True:
            time.sleep(self._heartbeat)
            for folder in list(self._statuses):
                self._change(folder)


def main() -> None:
    """Runs the benchmark and prints a line per result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1500)
    parser.add_argument("--chips", type=int, default=1024, help="upper bound of chips in use")
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of a job")
    parser.add_argument("--heartbeat", type=float, default=10.0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    (folder / "data.txt").write_text("data\n")
    (folder / "tpu.lock").touch()
    bucket = FakeBucket()
    cloud = SimulatedCloud(folder / "hosts", bucket, options.seconds, options.heartbeat)
    command = [sys.executable, "-m", "snakemake", "--snakefile", HERE / "many_jobs/Snakefile"]
    command += ["--executor", "tpu-vm", "--jobs", "2000", "--nolock", "--scheduler", "greedy"]
    command += ["--max-jobs-per-timespan", "500/10s", "--quiet"]
    command += ["--resources", f"tpu_chips={options.chips}", "--config", f"jobs={options.jobs}"]
    settings = {
        "project": "p",
        "bucket": "gs://bucket",
        "heartbeat": options.heartbeat,
        "endpoint": f"http://{cloud.address}",
        "lock": "tpu.lock",
    }
    command += [f"--tpu-vm-{name}={value}" for name, value in settings.items()]
    start = time.monotonic()
    environment = os.environ | bucket_environment(bucket)
    subprocess.run([*map(str, command), "--", "all"], cwd=folder, env=environment, check=True)
    duration = time.monotonic() - start
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert cloud.first_request is not None
    calls = {name: f"{60 * count / duration:.1f}" for name, count in sorted(cloud.calls.items())}
    print(f"jobs                     {options.jobs}, {len(cloud.created)} slices were created")
    print(f"whole run                {duration:.0f} s")
    print(f"first slice requested    after {cloud.first_request - start:.1f} s")
    print(f"controller               {usage.ru_utime + usage.ru_stime:.0f} s of CPU, ", end="")
    print(f"{usage.ru_maxrss / 1024:.0f} MiB")
    print(f"calls per minute         {calls}")
    print(f"writes to the bucket     {bucket.writes}")


if __name__ == "__main__":
    main()
