"""How far a job is, from the events that it recorded (`promptscale.storage.events`)."""

import dataclasses
import itertools
from collections.abc import Sequence
from statistics import fmean
from typing import Any, Literal

from promptscale.storage.events import ENDS, Event

LOST_SECONDS = 90.0  # a job that has recorded nothing for so long was killed

_STEPS = ("step", "resuming", "evaluating", "saved")  # events that say how many steps are taken

State = Literal["running", "finished", "failed", "lost"]


@dataclasses.dataclass(frozen=True)
class JobProgress:
    """What a job's events say about it.

    Attributes:
      state: `lost` if it has recorded neither its end nor anything else for `LOST_SECONDS`.
      attempts: how often the job was started.
      seconds: from start to end, the sum over its attempts.
      devices: the number of devices that it computes on.
      host: the machine of its last attempt.
      updated: when it recorded its last event, in seconds since 1970.
      doing: what it does now, in words; empty while it takes steps.
      step: the number of steps that it has taken.
      steps: the number of all its steps; 0 for a job without steps.
      loss: the mean training loss over its runs at the last report.
      score: the mean dev score over its runs and their tasks at their last evaluation.
      examples_per_second: the rate at the last report.
      done: the share of its work that is done, from 0 to 1.
      seconds_left: an estimate from its steps so far; None if there are too few of them.
      error: the sentence with which its last attempt failed.
    """

    state: State
    attempts: int
    seconds: float
    devices: int
    host: str
    updated: float
    doing: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    score: float | None = None
    examples_per_second: float | None = None
    done: float = 0.0
    seconds_left: float | None = None
    error: str = ""

    def __str__(self) -> str:
        """Names what is known, such as `step 20 of 160, loss 1.2, 12 s left`."""
        rate = self.examples_per_second
        parts = [
            f"step {self.step:,} of {self.steps:,}" if self.steps else "",
            self.doing,
            "" if self.loss is None else f"loss {self.loss:.3g}",
            "" if self.score is None else f"dev score {self.score:.1f}",
            "" if rate is None else f"{rate:,.3g} examples/s",
            "" if self.seconds_left is None else f"{duration(self.seconds_left)} left",
        ]
        return ", ".join(filter(None, parts))


def duration(seconds: float) -> str:
    """A time in words, such as `45 s`, `12 min` or `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def job_progress(events: Sequence[Event], now: float) -> JobProgress | None:
    """The progress of a job at the time `now`, in seconds since 1970; None without events."""
    attempts = _attempts(events)
    if not attempts:
        return None
    last = attempts[-1]
    end = last[-1]
    running = end["event"] not in ENDS
    lost = running and now - end["time"] > LOST_SECONDS
    known: dict[str, Any] = {}
    for line in events:
        known.update(line)
    scores = {
        line["run"]: fmean(metrics["score"] for metrics in line["scores"].values())
        for line in events
        if line["event"] == "scores" and line["scores"]
    }
    taken = [line["step"] for line in last if line["event"] in _STEPS]
    step, steps = taken[-1] if taken else 0, known.get("steps") or 0
    scored = {line["run"] for line in last if line["event"] == "scores"}
    done = step / steps if steps else len(scored) / max(len(known.get("runs", ())), 1)
    return JobProgress(
        state="lost" if lost else "running" if running else end["event"],
        attempts=len(attempts),
        seconds=sum(lines[-1]["time"] - lines[0]["time"] for lines in attempts),
        devices=known.get("devices", 1),
        host=str(known.get("host", "")),
        updated=float(end["time"]),
        doing=_doing(last),
        step=step,
        steps=steps,
        loss=known.get("loss"),
        score=fmean(scores.values()) if scores else None,
        examples_per_second=known.get("examples_per_second"),
        done=1.0 if end["event"] == "finished" else min(done, 1.0),
        seconds_left=_seconds_left(last, steps, now) if running and not lost else None,
        error=str(end.get("error", "")),
    )


def _attempts(events: Sequence[Event]) -> list[list[Event]]:
    """The events of each attempt."""
    numbers = itertools.accumulate(line["event"] == "started" for line in events)
    groups = itertools.groupby(zip(numbers, events, strict=True), key=lambda pair: pair[0])
    return [[line for _, line in group] for _, group in groups]


def _doing(attempt: Sequence[Event]) -> str:
    """What an attempt does now, besides taking steps."""
    line = next((line for line in reversed(attempt) if line["event"] != "alive"), attempt[-1])
    match line["event"]:
        case "started" | "job" | "resuming":
            return "starting"
        case "loading":
            return f"loading {line.get('checkpoint')}"
        case "compiling":
            return f"compiling {line.get('program')}"
        case "preparing":
            return f"preparing {line.get('what')}, {line.get('done', 0):,} so far"
        case "answering":
            return f"evaluating, {line.get('done')} of {line.get('of')} micro-batches"
        case "evaluating":
            return "evaluating"
    return ""


def _seconds_left(attempt: Sequence[Event], steps: int, now: float) -> float | None:
    """The time of the steps that are left, at the speed of the attempt's steps so far."""
    lines = [line for line in attempt if line["event"] in ("step", "resuming")]
    if len(lines) < 2 or lines[0]["step"] == lines[-1]["step"]:
        return None
    first, last = lines[0], lines[-1]
    speed = (last["step"] - first["step"]) / max(last["time"] - first["time"], 1e-3)
    return max(0.0, (steps - last["step"]) / speed - (now - last["time"]))
