"""Makes `.venv` from a lock: `python3 envs/setup.py cpu` (or gpu, tpu). `make setup` calls it.

Python 3.6 and newer can run this file, with the standard library alone. What cannot work is refused
in a sentence before pip starts. `.venv` is left alone where it is what it should be. It is made
anew where it was not finished, where the checkout has moved, or where PYTHON asks for another.
"""

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = Path(".venv")
STAMP = ENVIRONMENT / ".promptscale"  # what a finished environment was made from, and where
UNFINISHED = ENVIRONMENT / ".unfinished"
# What the locks have wheels for.
OLDEST, NEWEST = (3, 11), (3, 13)
MACHINES = {
    "cpu": ("Linux x86_64", "Linux aarch64", "Darwin arm64"),
    "gpu": ("Linux x86_64", "Linux aarch64"),
    "tpu": ("Linux x86_64",),
}
GLIBC = (2, 28)
# In a path these break the programs that pip writes, setuptools, or the variable PATH.
BREAKERS = '"$`\\{}:'


def text(version):
    """A version with dots."""
    return ".".join(map(str, version))


def general_faults(kind, folder):
    """Pairs of a fault's presence and its sentence: of the arguments and of the checkout."""
    yield kind not in MACHINES, f"ACCELERATOR is {kind!r}; it must be cpu, gpu or tpu."
    breakers = [letter for letter in folder if letter in BREAKERS or not letter.isprintable()]
    yield (
        breakers,
        (
            f"The path of this checkout has {''.join(breakers[:1])!r} in it, which breaks programs "
            f"that pip installs: {folder!r}; move the checkout to a path without it."
        ),
    )


def faults(kind, folder):
    """Pairs of a fault's presence and its sentence: also of this Python and of the machine."""
    yield from general_faults(kind, folder)
    version = tuple(sys.version_info[:2])
    python = f"{platform.python_implementation()} {text(sys.version_info[:3])}"
    yield (
        not OLDEST <= version <= NEWEST or not python.startswith("CPython"),
        (
            f"promptscale needs CPython {text(OLDEST)} to {text(NEWEST)}, and {sys.executable} is "
            f"{python}; give another with `make setup PYTHON=python{text(NEWEST)}`."
        ),
    )
    machine = f"{platform.system()} {platform.machine()}"
    bits = "" if sys.maxsize > 2**32 else " with a Python of 32 bits"
    yield (
        machine not in MACHINES[kind] or bits,
        (
            f"The packages of envs/{kind}.lock exist for {', '.join(MACHINES[kind])}, "
            f"and this is {machine}{bits}."
        ),
    )
    library, release = platform.libc_ver()
    known = tuple(int(part) for part in release.split(".")[:2] if part.isdigit())
    yield (
        platform.system() == "Linux" and (library != "glibc" or known < GLIBC),
        f"The packages need the C library glibc {text(GLIBC)} or newer, and this system has "
        f"{library or 'another, perhaps musl'} {release}.".replace(" .", "."),
    )
    yield (
        not importlib.util.find_spec("ensurepip"),
        (
            f"{sys.executable} has no module ensurepip; install it (on Debian and Ubuntu: "
            f"python{text(version)}-venv), or give another Python with PYTHON."
        ),
    )
    compiler = os.environ.get("CXX", "c++").split()[0]
    yield (
        version == (3, 13) and not shutil.which(compiler),
        (
            "With Python 3.13 the package editdistance has to be compiled, and there is no C++ "
            "compiler c++; install one, or give an older Python with PYTHON."
        ),
    )


def refuse(pairs):
    """Ends with the sentence of the first fault that is present."""
    sentence = next((sentence for present, sentence in pairs if present), None)
    if sentence:
        sys.exit(sentence)


def version_of_environment():
    """The version of the Python in `.venv`, such as (3, 11); None where it does not run."""
    statement = "import sys; print(*sys.version_info[:2])"
    command = [str(ENVIRONMENT / "bin/python"), "-c", statement]
    try:
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(map(int, output.split()))


def install(kind):
    """Installs the lock and this package into `.venv`."""
    pip = [str(ENVIRONMENT / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["install", "--no-deps"]  # the locks are complete (overrides.txt)
    lock = ["--require-hashes", "-r", f"envs/{kind}.lock"]
    packages = Path(lock[-1]).read_text(encoding="utf-8").count("==")
    print(f"Installing {packages} packages of {lock[-1]} into .venv (several GB): some minutes,")
    print("in which pip prints nothing.", flush=True)
    subprocess.run([*pip, *options, *lock], check=True)
    subprocess.run([*pip, *options, "--no-build-isolation", "-e", "."], check=True)


def main(kind, python_is_given):
    """Makes the environment, unless it is there."""
    folder = str(Path.cwd())
    stamp = STAMP.read_text(encoding="utf-8").split(" ", 2) if STAMP.is_file() else []
    kind = kind or (stamp[0] if stamp else "cpu")
    refuse(general_faults(kind, folder))
    content = Path(f"envs/{kind}.lock").read_bytes() + Path("pyproject.toml").read_bytes()
    wanted = [kind, hashlib.sha256(content).hexdigest(), folder]
    version = version_of_environment()
    usable = (
        version is not None
        and OLDEST <= version <= NEWEST
        and (not python_is_given or version == tuple(sys.version_info[:2]))
        and stamp[2:] in ([], [folder])
        and not UNFINISHED.exists()
    )
    if usable and stamp == wanted:
        return
    if not usable:
        refuse(faults(kind, folder))
        if ENVIRONMENT.exists() and not stamp and not UNFINISHED.exists():
            sys.exit(
                ".venv is there, but `make setup` did not make it, or its Python does not run or "
                "is not the one that is asked for; move it away."
            )
        shutil.rmtree(str(ENVIRONMENT), ignore_errors=True)
    try:
        ENVIRONMENT.mkdir(exist_ok=True)
        UNFINISHED.touch()
        if not usable:
            subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        install(kind)
        STAMP.write_text(" ".join(wanted), encoding="utf-8")
        UNFINISHED.unlink()
        print(".venv is ready; `. .venv/bin/activate` puts its commands on the path.", flush=True)
    except (OSError, subprocess.CalledProcessError, KeyboardInterrupt) as error:
        if not usable:
            shutil.rmtree(str(ENVIRONMENT), ignore_errors=True)
        reason = "it was interrupted" if isinstance(error, KeyboardInterrupt) else error
        sys.exit(f"The environment .venv was not made ({reason}); `make setup` will begin anew.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "", "--this-python" in sys.argv)
