"""Runs the benchmarks and writes their results after each comparison: `make bench`.

    python -m benchmarks.run --accelerator cpu --peer .venv-bench/bin/python
    python -m benchmarks.run --accelerator gpu --peer python3 --minutes 8

What has no time left is listed under `not_measured`. Where PEFT's environment is missing, only
promptscale is measured.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import superglue
from benchmarks.harness import OURS, Interpreters, measure, process_lifetimes
from benchmarks.report import describe
from benchmarks.suite import Material, lifetimes, on_cpu, on_gpu
from promptscale.errors import ConfigError, PromptscaleError
from promptscale.planning.machine import available_cores, available_memory_mb
from promptscale.storage.atomic import atomic_write

FOLDER = Path("results/benchmarks")
_SMALLEST_TIME = 20.0  # seconds that a comparison needs at least
_COMPILING = 5  # processes that compile for a GPU at a time, as its memory holds them


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for.

    Raises:
      ConfigError: there is less than a minute, or less than a core.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--peer", default="", help="the Python of PEFT's environment")
    parser.add_argument("--minutes", type=float, help="30 on a CPU, 8 on a GPU")
    parser.add_argument("--cores", type=int, help="at most 2 on a CPU, all beside a GPU")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--only", default="", help="comparisons whose names start so, or so,...")
    parser.add_argument("--sizes", default="small,base,large,xl,xxl", help="on a GPU")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(words)
    if given.minutes is None:
        given.minutes = {"cpu": 30, "gpu": 8}[given.accelerator]
    if given.cores is None:
        given.cores = min(2 if given.accelerator == "cpu" else 64, available_cores())
    given.shared = given.shared.resolve()  # files name others by paths from their own folder
    given.out = given.out or FOLDER / f"{given.accelerator}.json"
    for name, value in (("minutes", given.minutes), ("cores", given.cores)):
        if value < 1:
            raise ConfigError(f"--{name} is {value}; it must be at least 1.")
    return given


def material(shared: Path, cores: int) -> tuple[Material, dict[str, str]]:
    """SuperGLUE's examples and the real weights where they are, and a label of each."""
    tokens, weights = FOLDER / "superglue", FOLDER / "weights"
    packed = shared / "data/t5_small_flan"
    if packed.is_dir() and not (weights / "config.json").is_file():
        _prepare(str(packed / "unpack.py"), str(weights), "float32")
    if (shared / "data/superglue").is_dir() and not (tokens / "wsc.jsonl").is_file():
        _prepare("-m", "benchmarks.superglue", str(shared), str(tokens))
    real_text, real_weights = tokens.is_dir(), weights.is_dir()
    tasks = superglue.read(tokens) if real_text else superglue.generate()
    labels = {
        "examples": "real text of SuperGLUE"
        if real_text
        else "random tokens, lengths as SuperGLUE's",
        "weights": "a real T5 1.1 Small" if real_weights else "random",
    }
    return Material(tasks, str(weights.resolve()) if real_weights else "", cores), labels


def _prepare(*words: str) -> None:
    """Runs Python with these words; ConfigError if it fails, as it has told what is wrong."""
    if subprocess.run([sys.executable, *words], check=False).returncode:
        raise ConfigError(
            "The inputs could not be prepared (see above); --shared names the folder that has "
            "them, and with one that does not exist the benchmarks generate theirs."
        )


def machine(cores: int) -> dict[str, Any]:
    """What the benchmarks run on."""
    names = [
        line.split(":", 1)[1].strip()
        for line in _lines(Path("/proc/cpuinfo"))
        if line.startswith("model name")
    ]
    flags = next((line for line in _lines(Path("/proc/cpuinfo")) if line.startswith("flags")), "")
    return {
        "processor": names[0] if names else platform.processor(),
        "extensions": [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in flags],
        "cores_used": cores,
        "memory_mb": available_memory_mb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_at_start": os.getloadavg()[0],
    }


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def dry_runs() -> Iterator[dict[str, Any]]:
    """Seconds of Snakemake's dry run against the number of jobs, for the shipped configurations."""
    snakemake = Path(sys.executable).with_name("snakemake")
    if not snakemake.is_file():
        return
    for name in ("miniature", "paper"):
        command = [str(snakemake), "--configfile", f"config/{name}.yaml"]
        command += ["--dry-run", "--quiet", "rules", "--nolock", "--forceall"]
        started = time.monotonic()
        output = subprocess.run(
            [*command, "--", "all"], capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - started
        totals = [line.split()[1] for line in output.stdout.splitlines() if line[:5] == "total"]
        if output.returncode or not totals:
            yield {"configuration": name, "error": (output.stderr or output.stdout).strip()[-300:]}
        else:
            yield {"configuration": name, "jobs": int(totals[0]), "seconds": seconds}


def main() -> None:
    """Measures everything that there is time for."""
    given = arguments()
    if given.peer and shutil.which(given.peer) is None:
        raise ConfigError(f"--peer is {given.peer!r}; it should be the Python of an environment.")
    if given.accelerator == "cpu" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    deadline = time.monotonic() + 60 * given.minutes
    results: dict[str, Any] = {
        "accelerator": given.accelerator,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(given.cores),
        "comparisons": [],
        "not_measured": [],
    }

    def save() -> None:
        with atomic_write(given.out) as partial:
            partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str((FOLDER / "compiled").resolve()))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    interpreters = Interpreters(
        {"ours": sys.executable, "peer": given.peer}, FOLDER / "logs" / given.accelerator
    )
    if given.accelerator == "gpu":
        results["examples"], results["weights"] = "random tokens", "random"
        work = Material({}, "", given.cores)
        comparisons = list(on_gpu(work, tuple(given.sizes.split(","))))
    else:
        work, labels = material(given.shared, given.cores)
        results |= labels
        comparisons = list(on_cpu(work))
    beginnings = tuple(filter(None, given.only.split(","))) or ("",)
    chosen = [item for item in comparisons if item.name.startswith(beginnings)]
    others = [] if given.accelerator == "gpu" else ["lifetimes", "dry-runs"]
    others = [name for name in others if name.startswith(beginnings)]
    if not chosen and not others:
        names = ", ".join(item.name for item in comparisons)
        raise ConfigError(
            f"--only {given.only!r} starts no name of a comparison; they are {names}."
        )
    if "dry-runs" in others:
        results["dry_runs"] = list(dry_runs())
        print(json.dumps(results["dry_runs"]), flush=True)
    if "lifetimes" in others:
        results["lifetimes"] = []
        for runs in (3, 24):
            row: dict[str, Any] = {"runs": runs}
            for name, variants in lifetimes(work, runs).items():
                row[name] = process_lifetimes(
                    f"life-{name}", variants, interpreters, deadline, given.cores
                )
            results["lifetimes"].append(row)
            print(json.dumps(row), flush=True)
            save()
    if given.accelerator == "gpu":
        # XXL first. Compiling in turn would take most of the time.
        variants = [item.variants[OURS] for item in chosen]
        variants.sort(key=lambda variant: -variant.case.architecture.get("d_model", 0))
        compiling = process_lifetimes("compile", variants, interpreters, deadline, _COMPILING)
        results["compiling"] = compiling
        print(json.dumps(compiling), flush=True)
    for comparison in chosen:
        if deadline - time.monotonic() < _SMALLEST_TIME:
            results["not_measured"].append(comparison.name)
        else:
            results["comparisons"].append(measure(comparison, interpreters, deadline))
            print(describe(results["comparisons"][-1]), flush=True)
        save()
    save()
    print(f"Results: {given.out}")


if __name__ == "__main__":
    try:
        main()
    except PromptscaleError as error:
        sys.exit(str(error))
