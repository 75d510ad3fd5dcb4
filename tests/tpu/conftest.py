"""A fake bucket, a fake cloud, and a folder from which Snakemake runs jobs on them."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .fake_bucket import FakeBucket, bucket_environment
from .fake_cloud import FakeCloud, Faults, wait_until

# `make chaos` uses 20 seeds.
SEEDS = range(int(os.environ.get("PROMPTSCALE_CHAOS_SEEDS", "1")))
HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
QUICK = {
    "heartbeat": 0.2,
    "host-timeout": 8.0,
    "startup-timeout": 90.0,
    "idle-timeout": 20.0,
    "queue-timeout": 3.0,
}


@dataclasses.dataclass
class Site:
    """A folder with a workflow, and the cloud that runs its jobs."""

    folder: Path
    bucket: FakeBucket
    cloud: FakeCloud
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    processes: list[subprocess.Popen[str]] = dataclasses.field(default_factory=list)

    def command(self, *arguments: str, **settings: object) -> list[str]:
        """The command of Snakemake; `settings` override the tests' settings of the executor."""
        all_settings = {
            "project": "p",
            "bucket": "gs://bucket",
            "endpoint": f"http://{self.cloud.address}",
            **QUICK,
            **settings,
        }
        options = [f"--tpu-vm-{name}={value}" for name, value in all_settings.items()]
        command = [sys.executable, "-m", "snakemake", "--executor", "tpu-vm", "--jobs", "50"]
        command += ["--cores", "2", "--nolock", "--rerun-incomplete", "--scheduler", "greedy"]
        return [*command, *options, *arguments]

    def start(self, *arguments: str, **settings: object) -> subprocess.Popen[str]:
        """Starts Snakemake; its output goes to `snakemake.txt`."""
        environment = os.environ | bucket_environment(self.bucket) | self.environment
        # Shells make background processes ignore SIGINT; `env` makes Snakemake accept it.
        command = ["env", "--default-signal=INT", *self.command(*arguments, **settings)]
        with (self.folder / "snakemake.txt").open("a") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Runs Snakemake until it ends."""
        (self.folder / "snakemake.txt").unlink(missing_ok=True)
        process = self.start(*arguments, **settings)
        code = process.wait(900)
        return subprocess.CompletedProcess(process.args, code, self.output)

    def stop(self) -> None:
        """Stops all processes and servers."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.cloud.stop()
        self.bucket.stop()

    @property
    def output(self) -> str:
        return (self.folder / "snakemake.txt").read_text()

    def attempts(self) -> dict[str, int]:
        """The number of attempts of each job."""
        jobs = [attempt.partition("/")[0] for attempt in self.cloud.attempts if attempt]
        return {job: jobs.count(job) for job in set(jobs)}

    def assert_success(self, jobs: int) -> None:
        """Checks the outputs, that no done job was run again, and that nothing is left."""
        total = sum(job * (job + 1) // 2 for job in range(1, jobs + 1))
        assert (self.folder / "results/total.txt").read_text() == f"{total}\n"
        for job in range(1, jobs + 1):
            parts = self.folder / f"results/parts/{job}"
            names = {path.name for path in parts.rglob("*")} - {".snakemake_timestamp"}
            assert names == {"deep", "empty.txt", "first.txt"}
            log = (self.folder / f"results/logs/add-{job}.log").read_text()
            assert log.endswith(f"job {job} ends\n"), log
        assert not list(self.folder.rglob("*.partial"))
        assert not self.cloud.wasted
        assert not [name for name in self.bucket.objects if "/jobs/" in name]
        self.assert_nothing_is_left()

    def assert_nothing_is_left(self) -> None:
        wait_until(lambda: not self.cloud.slices, 10, "deleting all slices")
        names = self.bucket.names("bucket/")
        leftover = [name for name in names if "/slices/" in name or "/zones/" in name]
        assert not leftover


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A function that makes sites with faults; their processes are stopped after the test."""
    sites: list[Site] = []

    def make(seed: int = 0, workflow: str = "cheap", **faults: float) -> Site:
        folder = tmp_path / f"site-{len(sites)}"
        folder.mkdir()
        for file in (HERE / workflow).iterdir():
            if file.is_file():
                (folder / file.name).write_bytes(file.read_bytes())
        (folder / "envs").mkdir()
        (folder / "envs" / "tpu.lock").write_text("# nothing is installed\n")
        bucket = FakeBucket()
        cloud = FakeCloud(tmp_path / f"hosts-{len(sites)}", bucket, Faults(**faults), seed)
        sites.append(Site(folder, bucket, cloud))
        return sites[-1]

    yield make
    for made in sites:
        made.stop()


def interrupt(process: subprocess.Popen[str]) -> None:
    """Interrupts a process as Ctrl-C does."""
    process.send_signal(signal.SIGINT)
    process.wait(60)
