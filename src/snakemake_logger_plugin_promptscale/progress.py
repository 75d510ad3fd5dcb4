"""The progress of a workflow and an estimate of the time left."""

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from statistics import fmean, geometric_mean


class Progress:
    """Counts jobs by rule and estimates the time left from the finished jobs.

    A display reads it in another thread, so what changes is copied before it is iterated over.

    The expected time of a job is the mean over its rule's finished jobs. If its rule has none, it
    is the geometric mean of the other rules' means, which differ by orders of magnitude, but at
    least twice as long as a job of its rule has run: on average a running job is half done. The
    expected parallelism is the mean number of running jobs so far.
    """

    def __init__(self) -> None:
        """Starts without jobs; time is measured from the start of the first job."""
        self._left: Counter[str] = Counter()  # the number of unfinished jobs by rule
        self._running: dict[int, tuple[str, float]] = {}  # rule and start by job
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)  # durations by rule
        self._began: float | None = None

    def expect(self, counts: Mapping[str, int]) -> None:
        """Sets the number of jobs by rule; Snakemake's entry `total` is ignored."""
        self._left = Counter({rule: count for rule, count in counts.items() if rule != "total"})

    def start(self, job: int, rule: str) -> None:
        """Records the start of a job."""
        self._running[job] = (rule, time.monotonic())
        self._began = self._began or self._running[job][1]

    def finish(self, job: int) -> float:
        """Records the end of a job; returns its duration in seconds."""
        rule, started = self._running.pop(job)
        self._seconds[rule].append(time.monotonic() - started)
        self._left[rule] -= 1
        return self._seconds[rule][-1]

    def _estimate(self, durations: list[float]) -> str:
        """The estimated time left, from the durations of all finished jobs."""
        if not durations or self._began is None:
            return ""
        now = time.monotonic()
        running = [(rule, now - started) for rule, started in list(self._running.values())]
        finished = list(self._seconds.items())
        means = {rule: max(fmean(seconds), 0.01) for rule, seconds in finished}
        expected = dict.fromkeys(list(self._left), geometric_mean(means.values()))
        for rule, seconds in running:
            expected[rule] = max(expected[rule], 2 * seconds)
        expected |= means
        underway = sum(seconds for _, seconds in running)
        at_a_time = max(1.0, (sum(durations) + underway) / max(now - self._began, 1e-9))
        rest = sum(count * expected[rule] for rule, count in list(self._left.items()))
        left = (rest - sum(min(seconds, expected[rule]) for rule, seconds in running)) / at_a_time
        return f"{left:.0f} s left" if left < 90 else f"{left / 60:.0f} min left"

    def __str__(self) -> str:
        """The numbers of finished and of all jobs, and the time left, in columns."""
        durations = list(itertools.chain(*self._seconds.values()))
        total = str(len(durations) + self._left.total())
        return f"[{len(durations):{len(total)}d} of {total}] {self._estimate(durations):>11}"
