"""A home folder and a user name for Snakemake and its jobs, where the machine gives none.

Containers run processes under any user id, without an entry in the list of users and with a home
folder that is missing or cannot be written. Snakemake needs a user's name and a folder for its
cache before it reads a workflow, and libraries write caches.
"""

import getpass
import os
import tempfile
from pathlib import Path


def provide_home() -> None:
    """Sets the variables of the environment that name folders and the user, where they must be.

    A home folder that can be written is used as it is. Otherwise caches go to `.snakemake/home` in
    the working directory, or to a temporary folder if that cannot be written either.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # before and since Python 3.13
        os.environ["LOGNAME"] = f"user{os.getuid()}"
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  Path.home() fails where there is none
    if home.is_absolute() and os.access(home, os.W_OK | os.X_OK):
        return
    folder = Path.cwd() / ".snakemake" / "home"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="promptscale-"))
    if not home.is_dir():
        os.environ["HOME"] = str(folder)
    for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR"):
        if not os.access(os.environ.get(name, ""), os.W_OK):
            os.environ[name] = str(folder)
