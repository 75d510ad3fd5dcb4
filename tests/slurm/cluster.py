"""A Slurm cluster whose only node is this machine, for the duration of a test.

Debian's packages `slurm-wlm` and `munge`, without systemd, cgroups or accounting. The configuration
must be at /etc/slurm/slurm.conf, because the executor plugin removes all SLURM_ variables from the
environment of its jobs. This needs root, and a machine without a Slurm configuration.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

CONFIGURATION = Path("/etc/slurm/slurm.conf")
HEADER = "# Written by a test, which deletes it when it ends; the next test replaces it.\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")


def why_not() -> str | None:
    """Why a cluster cannot be started on this machine; None if it can."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"Slurm is not installed ({', '.join(missing)}): apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "starting Slurm needs root"
    if CONFIGURATION.exists() and not CONFIGURATION.read_text().startswith(HEADER):
        return f"{CONFIGURATION} exists: this machine has another Slurm cluster"
    return None


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Starts the daemons, waits until the node is idle, and ends them."""
    folder.mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    munge = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket"]
    munge += [f"--{name}={folder}/munge.{name}" for name in ("key-file", "pid-file", "seed-file")]
    munge = [part.replace("munge.key-file", "munge.key") for part in munge]
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text(_configuration(folder))
    daemons = []
    try:
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D"]):
            log = (folder / f"{command[0]}.out").open("wb")
            daemons.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
            time.sleep(1)
        wait_for_node(folder)
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        CONFIGURATION.unlink()
        for daemon in daemons:
            daemon.wait(120)  # slurmd waits for the steps of its job


def _configuration(folder: Path) -> str:
    name = socket.gethostname().partition(".")[0]
    hardware = subprocess.run(["slurmd", "-C"], capture_output=True, text=True, check=True)
    node = hardware.stdout.splitlines()[0].replace(f"NodeName={name}", "")
    return f"""{HEADER}ClusterName=test
SlurmctldHost={name}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
JobRequeue=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={name} NodeAddr=127.0.0.1{node}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def wait_for_node(folder: Path) -> None:
    """Waits until the node is idle."""
    for _ in range(60):
        states = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
        if states.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
    raise RuntimeError(f"Slurm's node did not become idle:\n{states.stdout}{states.stderr}\n{logs}")
