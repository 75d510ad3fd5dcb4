"""A bucket, a cloud, and a folder from which Snakemake runs jobs on them."""

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

# `make chaos` tries 20.
SEEDS = range(int(os.environ.get("PROMPTSCALE_CHAOS_SEEDS", "2")))
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
    """A folder with a workflow, and the cloud that it runs on."""

    folder: Path
    bucket: FakeBucket
    cloud: FakeCloud
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    processes: list[subprocess.Popen[str]] = dataclasses.field(default_factory=list)

    def command(self, *arguments: str, **settings: object) -> list[str]:
        """Snakemake with the executor's settings; those of tests can be overridden."""
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
        """Snakemake as a process of its own, its output in `snakemake.txt`."""
        environment = os.environ | bucket_environment(self.bucket) | self.environment
        # Ctrl-C is to work although the tests may run in the background, where shells ignore it.
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
        """Snakemake to its end."""
        (self.folder / "snakemake.txt").unlink(missing_ok=True)
        process = self.start(*arguments, **settings)
        code = process.wait(900)
        return subprocess.CompletedProcess(process.args, code, self.output)

    def stop(self) -> None:
        """Ends all that was started."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.cloud.stop()
        self.bucket.stop()

    @property
    def output(self) -> str:
        return (self.folder / "snakemake.txt").read_text()

    def attempts(self) -> dict[str, int]:
        """How often each task was given to a slice."""
        tasks = [one.partition("/")[0] for one in self.cloud.attempts if one]
        return {task: tasks.count(task) for task in set(tasks)}

    def assert_all_is_well(self, jobs: int) -> None:
        """Outputs are right, nothing was done for nothing, and nothing is left behind."""
        total = sum(job * (job + 1) // 2 for job in range(1, jobs + 1))
        assert (self.folder / "results/total.txt").read_text() == f"{total}\n"
        for job in range(1, jobs + 1):
            parts = self.folder / f"results/parts/{job}"
            names = {one.name for one in parts.rglob("*")} - {".snakemake_timestamp"}
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
    """Makes a site with faults; all of its processes end with the test."""
    made: list[Site] = []

    def make(seed: int = 0, workflow: str = "cheap", **faults: float) -> Site:
        folder = tmp_path / f"site-{len(made)}"
        folder.mkdir()
        for file in (HERE / workflow).iterdir():
            if file.is_file():
                (folder / file.name).write_bytes(file.read_bytes())
        (folder / "envs").mkdir()
        (folder / "envs" / "tpu.lock").write_text("# nothing is installed\n")
        bucket = FakeBucket()
        cloud = FakeCloud(tmp_path / f"hosts-{len(made)}", bucket, Faults(**faults), seed)
        made.append(Site(folder, bucket, cloud))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)
    process.wait(60)
