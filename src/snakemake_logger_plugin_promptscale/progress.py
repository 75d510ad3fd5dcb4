"""How far a workflow is and how long the rest will take."""

import time
from collections import Counter
from collections.abc import Callable, Mapping


class Progress:
    """Counts jobs by rule and estimates the time left from the finished ones.

    A job still to come is expected to take as long as its rule's jobs took on average (as all
    jobs did, while its rule has none), and as many to run at a time as have so far.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts the clock with the first job."""
        self._clock = clock
        self._left: Counter[str] = Counter()
        self._running: dict[int, tuple[str, float]] = {}
        self._finished: dict[str, list[float]] = {}
        self._total = 0
        self._began: float | None = None

    def expect(self, counts: Mapping[str, int]) -> None:
        """Takes Snakemake's numbers of jobs by rule; `total` is their sum."""
        self._left = Counter({rule: count for rule, count in counts.items() if rule != "total"})
        self._total = sum(self._left.values())

    def start(self, job: int, rule: str) -> None:
        """Notes that a job begins."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        self._running[job] = (rule, now)

    def finish(self, job: int) -> float:
        """Notes that a job ended, and returns the seconds that it took."""
        rule, started = self._running.pop(job)
        seconds = self._clock() - started
        self._finished.setdefault(rule, []).append(seconds)
        self._left[rule] -= 1
        return seconds

    @property
    def done(self) -> int:
        """How many jobs have ended."""
        return sum(map(len, self._finished.values()))

    def seconds_left(self) -> float | None:
        """The estimate; None before the first job has ended."""
        if not self._finished or self._began is None:
            return None
        spent = sum(map(sum, self._finished.values()))
        overall = spent / self.done
        rest = 0.0
        for rule, count in self._left.items():
            took = self._finished.get(rule)
            rest += count * (sum(took) / len(took) if took else overall)
        now = self._clock()
        underway = sum(now - started for _, started in self._running.values())
        at_a_time = max(1.0, (spent + underway) / max(now - self._began, 1e-9))
        return max(0.0, rest - underway) / at_a_time

    def __str__(self) -> str:
        """Jobs done of all and the time left, in columns."""
        width = len(str(self._total))
        left = self.seconds_left()
        if left is None:
            estimate = ""
        elif left < 90:
            estimate = f"{left:.0f} s left"
        else:
            estimate = f"{left / 60:.0f} min left"
        return f"[{self.done:{width}d} of {self._total}] {estimate:>11}"
