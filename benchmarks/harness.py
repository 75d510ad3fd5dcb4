"""Runs variants of a case side by side and compares their times.

Each variant has a process of its own (`benchmarks.worker`), so that its memory is its own and
nothing of another trainer's is left in it. The processes take turns, a repetition each (A B A B),
so that a change of the machine's speed meets all of them; all but one wait. They prepare
and compile at the same time, which is not counted. Where a machine's memory does not hold all
variants at once, a process ends before the next starts.
"""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from promptscale.config.sizes import ModelConfig
from promptscale.planning.flops import forward

ROOT = Path(__file__).resolve().parent.parent
OURS = "promptscale"


@dataclasses.dataclass(frozen=True)
class Variant:
    """A trainer (a module of `benchmarks`: `ours` or `peer`) and the case that it repeats."""

    trainer: str
    case: Case


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Variants that do the same work.

    Attributes:
      name: in the results.
      title: what is compared, for the table.
      variants: by label; ratios are to `reference`, if that is among them.
      repetitions: of each variant.
      alternating: whether the variants' processes live at the same time and take turns.
    """

    name: str
    title: str
    variants: Mapping[str, Variant]
    reference: str = OURS
    repetitions: int = 5
    alternating: bool = True


@dataclasses.dataclass(frozen=True)
class Interpreters:
    """The Python of each trainer's environment, and the folder of the processes' logs."""

    python: Mapping[str, str]
    logs: Path

    def available(self, trainer: str) -> bool:
        """Whether the trainer has an environment."""
        return bool(self.python.get(trainer))


class Worker:
    """The process of a variant."""

    def __init__(
        self, variant: Variant, interpreters: Interpreters, log: str, deadline: float
    ) -> None:
        """Starts the process; `deadline` is a `time.monotonic()` at which it is killed."""
        interpreters.logs.mkdir(parents=True, exist_ok=True)
        paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PJRT_NPROC": str(variant.case.cores),  # XLA's threads
            "OMP_NUM_THREADS": str(variant.case.cores),
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # a GPU's memory is shared
        }
        self._log = (interpreters.logs / f"{log}.log").open("w", encoding="utf-8")
        command = [interpreters.python[variant.trainer], "-m", "benchmarks.worker", variant.trainer]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._process.kill)
        self._timer.start()
        self._case = variant.case

    def start(self) -> None:
        """Sends the case; its answer comes after the first repetition, which is not counted."""
        self._send(self._case.as_json())

    def repeat(self) -> dict[str, Any]:
        """A repetition's results."""
        self._send({})
        return self.answer()

    def _send(self, question: dict[str, Any]) -> None:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next answer, when it comes."""
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            return {"error": f"It ended, or its time was over; see {Path(self._log.name).name}."}
        return json.loads(answer)

    def stop(self) -> None:
        """Ends the process."""
        self._timer.cancel()
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()


def measure(comparison: Comparison, interpreters: Interpreters, deadline: float) -> dict[str, Any]:
    """The results of a comparison: times of each variant, and ratios to the reference."""
    variants = {
        label: variant
        for label, variant in comparison.variants.items()
        if interpreters.available(variant.trainer)
    }
    load_before = os.getloadavg()[0]
    groups = [list(variants)] if comparison.alternating else [[label] for label in variants]
    answers: dict[str, list[dict[str, Any]]] = {label: [] for label in variants}
    for labels in groups:
        with _workers(comparison.name, variants, labels, interpreters, deadline) as workers:
            for worker in workers.values():
                worker.start()
            for label, worker in workers.items():
                answers[label].append(worker.answer())
            for _ in range(comparison.repetitions):
                for label, worker in workers.items():
                    if "error" not in answers[label][-1]:
                        answers[label].append(worker.repeat())
    rows = {label: summary(variants[label].case, answers[label]) for label in variants}
    return {
        "name": comparison.name,
        "title": comparison.title,
        "load": [load_before, os.getloadavg()[0]],
        "reference": comparison.reference,
        "variants": rows,
        "ratios": ratios(rows, comparison.reference),
    }


@contextlib.contextmanager
def _workers(
    name: str,
    variants: Mapping[str, Variant],
    labels: Sequence[str],
    interpreters: Interpreters,
    deadline: float,
) -> Iterator[dict[str, Worker]]:
    """The running processes of some variants, which end with the block."""
    with contextlib.ExitStack() as stack:
        workers = {}
        for label in labels:
            log = f"{name}-{label}".replace(" ", "-").replace(",", "")
            workers[label] = Worker(variants[label], interpreters, log, deadline)
            stack.callback(workers[label].stop)
        yield workers


def summary(case: Case, answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is recorded of a variant, from the answers of its process (the start's is the first)."""
    start, *repetitions = answers
    complete = [answer for answer in repetitions if "error" not in answer]
    errors = [answer["error"] for answer in answers if "error" in answer]
    row: dict[str, Any] = {
        "mode": case.mode,
        "size": case.size,
        "dtype": case.dtype,
        "runs": case.runs,
        "steps": len(case.batches),
        "examples": sum(len(run["inputs"]) for batch in case.batches for run in batch),
        "flops": operations(case),
        "real_positions": positions(case),
        "preparation_seconds": start.get("seconds"),
        "versions": start.get("versions", {}),
        "seconds": [answer["seconds"] for answer in complete],
        "cpu_seconds": [answer["cpu_seconds"] for answer in complete],
    }
    if complete:
        row["median_seconds"] = statistics.median(row["seconds"])
        row["peak_bytes"] = max(answer["peak_bytes"] for answer in complete)
        row["first_losses"] = start["first"].get("losses", [])
        row["computed_positions"] = start["first"].get("positions")
        row["tokens"] = start["first"].get("tokens")
    if errors:
        row["error"] = errors[0]
    return row


def ratios(rows: Mapping[str, Mapping[str, Any]], reference: str) -> dict[str, dict[str, float]]:
    """How many times the reference's time each variant takes: median and range over repetitions.

    A ratio is of two repetitions that followed each other.
    """
    if reference not in rows:
        return {}
    compared = {}
    for label, row in rows.items():
        pairs = zip(row["seconds"], rows[reference]["seconds"], strict=False)
        quotients = [seconds / base for seconds, base in pairs]
        if quotients and label != reference:
            compared[label] = {
                "median": statistics.median(quotients),
                "least": min(quotients),
                "greatest": max(quotients),
            }
    return compared


def operations(case: Case) -> float:
    """The floating-point operations of a repetition, for the real lengths (no padding)."""
    if case.mode == "matmul":
        rows, inner, columns = case.matmul
        return 2.0 * rows * inner * columns * case.repeats
    gradient = {"train": "inputs", "full": "weights", "decode": "nothing"}[case.mode]
    before = 0 if case.mode == "full" else case.prompt_length
    architecture = ModelConfig(**case.architecture)
    return sum(
        forward(architecture, before + len(inputs), len(targets)).step(gradient)
        for batch in case.batches
        for run in batch
        for inputs, targets in zip(run["inputs"], run["targets"], strict=True)
    )


def positions(case: Case) -> int:
    """The positions (prompt, input and target) of the case's examples, without padding."""
    before = 0 if case.mode == "full" else case.prompt_length
    return sum(
        before + len(inputs) + len(targets)
        for batch in case.batches
        for run in batch
        for inputs, targets in zip(run["inputs"], run["targets"], strict=True)
    )


def process_lifetimes(
    name: str, variants: Sequence[Variant], interpreters: Interpreters, deadline: float, jobs: int
) -> dict[str, Any]:
    """Seconds from the first start to the end of processes that each do their case once.

    At most `jobs` of them run at a time. Imports, loading and compilation are included.
    """
    free = threading.Semaphore(jobs)
    answers: list[dict[str, Any]] = []

    def live(number: int, variant: Variant) -> None:
        with free:
            worker = Worker(variant, interpreters, f"{name}-{number}", deadline)
            worker.start()
            answers.append(worker.answer())
            worker.stop()

    started = time.monotonic()
    threads = [threading.Thread(target=live, args=pair) for pair in enumerate(variants)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    errors = [answer["error"] for answer in answers if "error" in answer]
    return {
        "seconds": time.monotonic() - started,
        "processes": len(variants),
        "peak_bytes": max((answer.get("peak_bytes", 0) for answer in answers), default=0),
        **({"error": errors[0]} if errors else {}),
    }
