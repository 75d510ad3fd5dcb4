"""The environment that the hosts of a slice install: the lock file, this package and a script."""

import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import promptscale
from promptscale.errors import TpuError
from promptscale.tpu.remote_job import sha256

STARTUP = Path(__file__).with_name("startup.sh").read_text()


class Environment(NamedTuple):
    """The files to install by name, and a hash of all files, which names the installation."""

    hash: str
    files: dict[str, bytes]


def environment(lock: Path) -> Environment:
    """The environment with this package and the packages of the file `lock`.

    Raises:
      TpuError: `lock` does not exist.
    """
    if not lock.is_file():
        raise TpuError(f"There is no lock file {lock} to install on TPU VMs; set --tpu-vm-lock.")
    root, package = Path(promptscale.__file__).parent, io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                name = str(Path(root.name) / path.relative_to(root))
                archive.writestr(zipfile.ZipInfo(name), path.read_bytes())  # without the time
    files = {"requirements.lock": lock.read_bytes(), "package.zip": package.getvalue()}
    parts = [sha256(content) for _, content in sorted(files.items())]
    return Environment(sha256("".join([*parts, STARTUP]).encode())[:16], files)
