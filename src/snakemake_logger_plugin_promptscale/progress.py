"""The progress of a workflow and an estimate of the time left."""

import time
from collections import Counter
from collections.abc import Callable, Mapping


class Progress:
    """Counts jobs by rule and estimates the time left from the finished jobs.

    The expected time of a job is the mean over its rule's finished jobs, or over all finished jobs
    if its rule has none. The expected parallelism is the mean number of running jobs so far.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts without jobs; time is measured from the start of the first job."""
        self._clock = clock
        self._left: Counter[str] = Counter()
        self._running: dict[int, tuple[str, float]] = {}
        self._finished: dict[str, list[float]] = {}
        self._total = 0
        self._began: float | None = None

    def expect(self, counts: Mapping[str, int]) -> None:
        """Sets the number of jobs by rule; Snakemake's entry `total` is ignored."""
        self._left = Counter({rule: count for rule, count in counts.items() if rule != "total"})
        self._total = sum(self._left.values())

    def start(self, job: int, rule: str) -> None:
        """Records the start of a job."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        self._running[job] = (rule, now)

    def finish(self, job: int) -> float:
        """Records the end of a job; returns its duration in seconds."""
        rule, started = self._running.pop(job)
        seconds = self._clock() - started
        self._finished.setdefault(rule, []).append(seconds)
        self._left[rule] -= 1
        return seconds

    @property
    def done(self) -> int:
        """The number of finished jobs."""
        return sum(map(len, self._finished.values()))

    def seconds_left(self) -> float | None:
        """The estimated time left in seconds; None before the first job has finished."""
        if not self._finished or self._began is None:
            return None
        spent = sum(map(sum, self._finished.values()))
        overall = spent / self.done
        rest = 0.0
        for rule, count in self._left.items():
            durations = self._finished.get(rule)
            rest += count * (sum(durations) / len(durations) if durations else overall)
        now = self._clock()
        underway = sum(now - started for _, started in self._running.values())
        at_a_time = max(1.0, (spent + underway) / max(now - self._began, 1e-9))
        return max(0.0, rest - underway) / at_a_time

    def __str__(self) -> str:
        """The numbers of finished and of all jobs, and the time left, in columns."""
        width = len(str(self._total))
        left = self.seconds_left()
        if left is None:
            estimate = ""
        elif left < 90:
            estimate = f"{left:.0f} s left"
        else:
            estimate = f"{left / 60:.0f} min left"
        return f"[{self.done:{width}d} of {self._total}] {estimate:>11}"
