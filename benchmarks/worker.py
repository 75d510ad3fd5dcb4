"""A process that prepares a single case with a single trainer, and repeats it when it is told to.

    python -m benchmarks.worker TRAINER

`TRAINER` is a module of `benchmarks` with a function `prepare(case)`. It returns a function that
does the case's work once, waits until the devices have finished, and returns results.

The protocol is JSON lines. The first line from standard input is the case; the answer says how long
the preparation took, compilation included. Each further line asks for a repetition; the answer has
its seconds (`cpu_seconds`: of all threads), the largest memory within it, and the results. The
process ends when standard input ends. A fault is answered as `{"error": "..."}`.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(trainer: str) -> None:
    """Serves a case until standard input ends."""
    # Libraries that print must not disturb the protocol.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(work: Callable[[], dict[str, Any]]) -> Any:
        reset_peak_memory()
        started, cpu_started = time.perf_counter(), time.process_time()
        try:
            results = work()
            seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
            results = {"seconds": seconds, "cpu_seconds": cpu_seconds, **results}
            results.setdefault("peak_bytes", peak_memory())
        except Exception as error:  # every fault of a case is a result, and ends no other case
            results = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps(results), file=answers, flush=True)
        return results

    case = json.loads(sys.stdin.readline())
    repeat: list[Callable[[], dict[str, Any]]] = []

    def start() -> dict[str, Any]:
        module = importlib.import_module(f"benchmarks.{trainer}")
        repeat.append(module.prepare(case))
        # The first repetition compiles, and is not counted.
        return {"first": repeat[0](), "versions": module.versions()}

    if "error" in answer(start):
        return
    for _ in sys.stdin:
        answer(repeat[0])


def reset_peak_memory() -> None:
    """Makes `peak_memory` count from now on (Linux)."""
    if (file := Path("/proc/self/clear_refs")).exists():
        file.write_text("5", encoding="ascii")


def peak_memory() -> int:
    """The largest resident memory of this process in bytes since the last reset (Linux; else 0)."""
    if not (file := Path("/proc/self/status")).exists():
        return 0
    lines = file.read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1])
