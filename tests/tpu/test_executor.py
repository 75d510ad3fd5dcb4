"""Short jobs through Snakemake, the executor and the fake cloud."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import REPOSITORY, SEEDS, Site, interrupt
from .fake_cloud import wait_until

pytestmark = pytest.mark.slow  # starts processes

Make = Callable[..., Site]


def dry_run(site: Site, *arguments: str) -> str:
    """The output of a dry run."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", *arguments]
    result = subprocess.run(command, cwd=site.folder, capture_output=True, text=True, check=True)
    return result.stdout + result.stderr


def metadata(folder: Path) -> dict[str, dict]:
    """Snakemake's metadata of all outputs, without times."""
    records = {}
    for file in (folder / ".snakemake/metadata").iterdir():
        record = json.loads(file.read_text())
        records[file.name] = {
            key: record[key]
            for key in ("rule", "code", "input", "params", "input_checksums", "log")
        }
    return records


def test_jobs_on_slices_equal_local_jobs(site: Make):
    """Outputs and metadata are equal; slices are used again, within the bound on chips."""
    remote, local = site(), site()
    config = ("--config", "jobs=8", "types=['v2-8','v4-16']")
    result = remote.run("--resources", "tpu_chips=12", *config, "--", "all")
    assert result.returncode == 0, result.stdout
    remote.assert_success(8)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *config, "--", "all"]
    subprocess.run(command, cwd=local.folder, check=True, capture_output=True)
    for file in (local.folder / "results").rglob("*.*"):
        copy = remote.folder / file.relative_to(local.folder)
        if file.suffix == ".tsv":  # benchmarks: time and memory, which the host measured
            assert file.read_text().startswith(copy.read_text().splitlines()[0])
        elif file.suffix != ".log":
            assert copy.read_bytes() == file.read_bytes()
    assert metadata(remote.folder) == metadata(local.folder)
    assert "Nothing to be done" in dry_run(remote, *config)
    # Nine jobs on at most 12 chips: slices of 4 and 8 took turns.
    assert len(remote.cloud.created) < 9 and len(remote.cloud.attempts) == 9
    assert not remote.cloud.preempted
    # A forced rerun runs the job again; it does not return the old result.
    again = remote.run(*config, "-R", "add", "--", "results/sums/1.txt")
    assert again.returncode == 0 and len(remote.cloud.attempts) == 9 + 1


@pytest.mark.parametrize("seed", SEEDS)
def test_jobs_succeed_whatever_fails_in_the_cloud(site: Make, seed: int):
    """Preemption, lost hosts, endless queues, quota, errors, lost answers and slow logs."""
    broken = site(
        seed,
        preempted=0.3,
        host_dies=0.2,
        within=1,
        uploads=1,  # so that there is a preemption, whatever the seed and the speed of the machine
        stuck=0.1,
        lost_answer=0.2,
        error=0.1,
        quota=24,
    )
    broken.bucket.delay = lambda name: 0.3 if "/log/" in name else 0.0
    config = ("--config", "jobs=9", "seconds=0.5", "types=['v2-8','v4-16','v3-32']")
    result = broken.run(*config, "--resources", "tpu_chips=28", "--", "all")
    assert result.returncode == 0, result.stdout
    broken.assert_success(9)
    assert "Nothing to be done" in dry_run(broken, *config)
    assert broken.cloud.preempted, "no slice was preempted"
    table = (broken.folder / "results/logs/interruptions.csv").read_text().splitlines()
    assert table[0] == "job,interruptions,last_reason"
    counted = sum(int(line.split(",")[1]) for line in table[1:])
    assert f"{len(table) - 1} jobs had {counted} interruptions" in result.stdout
    # Every attempt but a job's last is interrupted; a slice that never started also counts.
    assert counted >= len(broken.cloud.attempts) - 10


def test_a_failing_script_fails_its_job(site: Make):
    """The message has the host's last lines; Snakemake retries the job; other jobs are done."""
    failing = site()
    fail = {2: "always", 3: "on 1", 4: f"once {failing.folder}/marker"}
    config = ("--config", "jobs=5", "retries=1", "types=['v4-16']", f"fail={fail}")
    result = failing.run("--keep-going", *config, "--", "all")
    assert result.returncode != 0
    assert "host 1 of ps" in result.stdout and "host 1 has had enough" in result.stdout
    assert "cannot add 1" in result.stdout
    log = (failing.folder / "results/logs/add-3.log").read_text()
    assert log.endswith(
        "--- the end of host 1's log ---\njob 3 begins on host 1\nhost 1 has had enough\n"
    )
    # 1, 4 and 5 are done, 4 in its second attempt; 2 and 3 failed twice, each on two hosts.
    assert sorted(path.stem for path in (failing.folder / "results/sums").iterdir()) == list("145")
    assert sorted(failing.attempts().values()) == [1, 1, 2, 2, 2]
    assert not failing.cloud.preempted and "interrupted" not in result.stdout
    failing.assert_nothing_is_left()


@pytest.mark.parametrize("what", ["vanished", "forbidden"])
def test_an_input_that_a_host_cannot_read_is_a_sentence(site: Make, what: str):
    """It is in the output and in the job's log; the job uses its retries and no more."""
    lost = site()
    kill = lost.cloud._watch

    def watch(name: str, content: bytes) -> None:
        kill(name, content)
        if what == "vanished" and name.endswith("/mailbox.json"):
            for blob in (key for key in lost.bucket.names("bucket/") if "/blobs/" in key):
                del lost.bucket.objects[blob]

    lost.bucket.watch = watch
    if what == "forbidden":
        blob = re.compile(r".*/blobs/\w+")
        lost.bucket.forbids = lambda request, name: request == "read" and blob.match(name)
    config = ("--config", "jobs=1", "retries=1")
    result = lost.run(*config, "--", "results/sums/1.txt")
    sentence = {
        "vanished": r"TpuError: There is no file gs://bucket/\S+/blobs/\w+\.",
        "forbidden": r"TpuError: The file gs://bucket/\S+ cannot be read: The account",
    }[what]
    assert result.returncode != 0 and re.search(sentence, result.stdout), result.stdout
    assert re.search(sentence, (lost.folder / "results/logs/add-1.log").read_text())
    assert "Traceback" not in result.stdout and len(lost.cloud.attempts) == 2
    lost.assert_nothing_is_left()


def test_a_job_with_too_many_interruptions_fails(site: Make):
    doomed = site(preempted=1.0, within=0.1)
    arguments = ("--logger", "promptscale", "--config", "jobs=1", "seconds=5")
    result = doomed.run(*arguments, "--", "results/sums/1.txt", **{"max-preemptions": 2})
    assert result.returncode != 0
    assert "FAILED add (rule add)\n  add 1 was interrupted 3 times:\n" in result.stdout
    assert len(doomed.cloud.attempts) == 3
    doomed.assert_nothing_is_left()


def test_the_message_says_why_a_host_could_not_be_set_up(site: Make):
    bare = site(bare=True)
    result = bare.run("--config", "jobs=1", "--", "results/sums/1.txt", **{"max-preemptions": 0})
    assert result.returncode != 0
    assert "its set-up failed: ERROR: No matching distribution found for uv" in result.stdout
    # The host did unpack this package from the bucket.
    assert next(bare.cloud.folder.rglob("package/promptscale/tpu/startup.sh")).is_file()
    bare.assert_nothing_is_left()


@pytest.mark.skipif(
    len(SEEDS) < 20, reason="installs the whole lock from a package registry; make chaos runs it"
)
def test_a_host_is_set_up_from_the_lock_and_this_package_alone(site: Make):
    fresh = site(bare=True, registry=True)
    lock = {"lock": str(REPOSITORY / "envs/tpu.lock"), "queue-timeout": 900.0}
    result = fresh.run(
        "--config", "jobs=1", "--", "results/sums/1.txt", **lock, **{"startup-timeout": 900.0}
    )
    assert result.returncode == 0, result.stdout
    packages = next(fresh.cloud.folder.rglob("venv/lib/python3.*/site-packages"))
    names = {path.name.partition("-")[0] for path in packages.glob("*.dist-info")}
    assert {"jax", "libtpu", "flax", "tensorstore"} <= names
    package = (packages / "promptscale.pth").read_text().strip()
    assert (Path(package) / "promptscale/tpu/worker.py").is_file()
    fresh.assert_nothing_is_left()


def test_the_log_grows_while_the_job_runs(site: Make):
    slow = site()
    process = slow.start("--config", "jobs=1", "seconds=600", "--", "results/sums/1.txt")
    log = slow.folder / "results/logs/add-1.log"
    wait_until(lambda: log.exists() and "job 1 begins on host 0" in log.read_text(), 60)
    interrupt(process)
    assert process.returncode != 0
    slow.assert_nothing_is_left()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_new_controller_continues_for_a_killed_controller(site: Make, seed: int):
    """The next controller adopts slices and attempts: none is created or started twice."""
    moment = random.Random(seed).uniform(2, 8)
    killed = site()
    # With the start of Snakemake and of a slice, a job ends after the last moment.
    config = ("--config", "jobs=6", "seconds=7", "types=['v2-8','v4-16']")
    process = killed.start(*config, "--", "all")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(moment)
    process.kill()
    process.wait()
    result = killed.run(*config, "--", "all")
    assert result.returncode == 0, result.stdout
    killed.assert_success(6)
    assert set(killed.attempts().values()) == {1}
    # There are at most as many slices as jobs.
    assert len(killed.cloud.created) <= 6 and not killed.cloud.preempted


def test_slices_of_a_killed_controller_are_deleted_in_every_zone(site: Make):
    """The next controller has no jobs in these zones, and none for slices."""
    killed = site()
    config = ("--config", "jobs=2", "types=['v2-8','v4-16']")
    assert killed.run(*config, "--", "all").returncode == 0
    process = killed.start("--config", "jobs=2", "seconds=600", "types=['v2-8','v4-16']", "-F")
    wait_until(lambda: len(killed.cloud.slices) == 2, 60)
    process.kill()
    process.wait()
    created = len(killed.cloud.created)
    result = killed.run(*config, "--force", "--", "results/numbers/1.txt")
    assert result.returncode == 0 and len(killed.cloud.created) == created
    killed.assert_nothing_is_left()


def test_an_outage_of_the_bucket_interrupts_no_job(site: Make):
    """The outage is longer than the heartbeat timeout; the jobs end during it.

    Hosts repeat a request 1, 3, 7 and 15 s after the start of the outage.
    """
    patient = site()
    patient.environment["PROMPTSCALE_BUCKET_RETRIES"] = "1"  # of the controller, not the hosts
    config = ("--config", "jobs=3", "seconds=5", "types=['v2-8','v4-16']")
    process = patient.start(*config, "--", "all", **{"host-timeout": 12.0})
    wait_until(lambda: len(patient.cloud.attempts) == 3, 60)
    patient.bucket.outage(14.0)
    assert process.wait(120) == 0, patient.output
    assert re.search(r"The file gs://\S+ cannot be", patient.output)
    assert "interrupted" not in patient.output
    patient.assert_success(3)
    assert set(patient.attempts().values()) == {1}


def test_two_controllers_do_not_share_a_folder(site: Make):
    shared = site()
    process = shared.start("--config", "jobs=1", "seconds=600", "--", "results/sums/1.txt")
    wait_until(lambda: shared.cloud.attempts, 60)
    second = subprocess.run(
        shared.command("--", "results/sums/1.txt"),
        cwd=shared.folder,
        capture_output=True,
        text=True,
    )
    assert second.returncode != 0
    assert "Another Snakemake runs jobs on TPU slices from this folder" in second.stderr
    interrupt(process)
    shared.assert_nothing_is_left()


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        ((), {"project": ""}, "TPU slices need --tpu-vm-project, or the environment variable"),
        ((), {"bucket": "bucket"}, "--tpu-vm-bucket should start with gs://; it is bucket."),
        ((), {"bucket": "gs://missing"}, "The file gs://missing/ps"),
        ((), {"project": "forbidden"}, "refused to list the slices in us-central1-b: Permission"),
        ((), {"run": "My_Run"}, "--tpu-vm-run should be at most 20 lower-case letters, digits"),
        ((), {"lock": "no.lock"}, "There is no lock file no.lock to install on TPU VMs"),
        (
            ("--config", "types=['v9-8']"),
            {},
            "asks for tpu_type=v9-8, which is not a TPU in accelerators.yaml",
        ),
        (
            ("--config", "types=['v3-32']", "--resources", "tpu_chips=8"),
            {},
            "A v3-32 has 16 chips, but at most 8 may be used; raise tpu_chips",
        ),
    ],
)
def test_an_error_of_the_user_is_a_sentence(site: Make, arguments, settings, sentence):
    wrong = site()
    result = wrong.run(*arguments, "--", "results/sums/1.txt", **settings)
    assert result.returncode != 0 and sentence in result.stdout
    assert "Traceback" not in result.stdout
    assert not wrong.cloud.created


def test_slices_that_a_crash_left_are_listed_and_reaped(site: Make):
    crashed = site()
    process = crashed.start("--config", "jobs=2", "seconds=600", "--", "all")
    wait_until(lambda: len(crashed.cloud.attempts) == 2, 60)
    process.kill()
    process.wait()

    def promptscale(*arguments: str) -> str:
        command = [sys.executable, "-m", "promptscale.cli", "tpu", *arguments]
        command += ["--project", "p", "--endpoint", f"http://{crashed.cloud.address}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    names = set(crashed.cloud.slices)
    lines = promptscale("list").splitlines()
    assert {line.split()[0] for line in lines[1:]} == names and len(names) == 2
    assert all(line.split()[1:4] == ["us-central1-b", "v2-8", "ACTIVE"] for line in lines[1:])
    assert "0 slices are deleted" in promptscale("reap", "--run", "another")
    assert "2 slices would be deleted" in promptscale("reap", "--dry-run")
    assert set(crashed.cloud.slices.values()) == {"ACTIVE"}
    assert "2 slices are deleted" in promptscale("reap")
    wait_until(lambda: not crashed.cloud.slices, 10)
