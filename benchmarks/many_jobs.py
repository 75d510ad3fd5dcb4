"""What it takes to control many jobs on TPU slices: `python -m benchmarks.many_jobs --jobs 1500`.

Everything is real (Snakemake, executor, Google's client) but the cloud and the hosts of its slices,
which answer for a job after some seconds without running it.
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

from promptscale.tpu.remote_job import Done, sha256
from promptscale.tpu.status import Status

HERE = Path(__file__).parent


class PaperCloud(FakeCloud):
    """Slices whose hosts are a few lines of this process."""

    def __init__(self, folder: Path, bucket: FakeBucket, seconds: float, beat: float) -> None:
        super().__init__(folder, bucket, Faults(provision_seconds=1.0))
        self.first: float | None = None
        self._seconds, self._beat = seconds, beat
        self._status: dict[str, Status] = {}
        threading.Thread(target=self._beat_for_all, daemon=True).start()

    def create(self, zone: str, name: str, body: dict) -> tuple[int, dict]:
        self.first = self.first or time.monotonic()
        return super().create(zone, name, body)

    def _activate(self, name: str, hosts: int) -> None:
        with self._lock:
            one = self._slices[name]
            one.state = "ACTIVE"
            place = one.body["tpu"]["nodeSpec"][0]["node"]["metadata"]["promptscale-slice"]
        self._tell(place.removeprefix("gs://"), Status(incarnation="one", beat=0))

    def _watch(self, name: str, content: bytes) -> None:
        super()._watch(name, content)
        if name.endswith("/mailbox.json"):
            place, attempt = name.removesuffix("/mailbox.json"), json.loads(content)["attempt"]
            self._change(place, state="running", attempt=attempt)
            self._later(self._seconds, lambda: self._finish(place, attempt))

    def _finish(self, place: str, attempt: str) -> None:
        root, task = place.partition("/slices/")[0], attempt.partition("/")[0]
        written = json.loads(self._bucket.objects[f"{root}/tasks/{task}/task.json"][1])
        path = written["output"]["values"][0]
        self._bucket.put(f"{root}/tasks/{attempt}/outputs/{path}", b"done\n", None)
        self._bucket.put(f"{root}/tasks/{attempt}/log/0/000000", b"trained\n", None)
        done = Done(attempt=attempt, files={path: sha256(b"done\n")}, folders=())
        self._bucket.put(f"{root}/tasks/{task}/done.json", done.model_dump_json().encode(), None)
        self._change(place, state="ended")

    def _change(self, place: str, **changes: str) -> None:
        before = self._status[place]
        self._tell(place, before.model_copy(update={"beat": before.beat + 1, **changes}))

    def _tell(self, place: str, status: Status) -> None:
        self._status[place] = status
        self._bucket.put(f"{place}/hosts/0", status.model_dump_json().encode(), None)

    def _beat_for_all(self) -> None:
        while True:
            time.sleep(self._beat)
            for place in list(self._status):
                self._change(place)


def main() -> None:
    """Runs it and prints a line per number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1500)
    parser.add_argument("--chips", type=int, default=1024, help="at a time")
    parser.add_argument("--seconds", type=float, default=30.0, help="of a job")
    parser.add_argument("--beat", type=float, default=10.0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    (folder / "data.txt").write_text("data\n")
    (folder / "tpu.lock").touch()
    bucket = FakeBucket()
    cloud = PaperCloud(folder / "hosts", bucket, options.seconds, options.beat)
    command = [sys.executable, "-m", "snakemake", "--snakefile", HERE / "many_jobs/Snakefile"]
    command += ["--executor", "tpu-vm", "--jobs", "2000", "--nolock", "--scheduler", "greedy"]
    command += ["--max-jobs-per-timespan", "500/10s", "--quiet"]
    command += ["--resources", f"tpu_chips={options.chips}", "--config", f"jobs={options.jobs}"]
    settings = {
        "project": "p",
        "bucket": "gs://bucket",
        "beat": options.beat,
        "endpoint": f"http://{cloud.address}",
        "lock": "tpu.lock",
    }
    command += [f"--tpu-vm-{name}={value}" for name, value in settings.items()]
    began = time.monotonic()
    environment = os.environ | bucket_environment(bucket)
    subprocess.run([*map(str, command), "--", "all"], cwd=folder, env=environment, check=True)
    took = time.monotonic() - began
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert cloud.first is not None
    calls = {what: f"{60 * count / took:.1f}" for what, count in sorted(cloud.calls.items())}
    print(f"jobs                     {options.jobs}, {len(cloud.created)} slices were created")
    print(f"whole run                {took:.0f} s")
    print(f"first slice asked for    after {cloud.first - began:.1f} s")
    print(f"controller               {usage.ru_utime + usage.ru_stime:.0f} s of CPU, ", end="")
    print(f"{usage.ru_maxrss / 1024:.0f} MiB")
    print(f"calls per minute         {calls}")
    print(f"writes to the bucket     {bucket.writes}")


if __name__ == "__main__":
    main()
