"""The learning curves of a job, from the events that it recorded (`promptscale.storage.events`)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from promptscale.storage.events import Event

# Fields of the event `step` that are curves of the whole job.
_RATES = ("loss", "examples_per_second", "tokens_per_second", "flops_per_second", "share_of_peak")


class Point(NamedTuple):
    """A point of a curve.

    Attributes:
      run: the run's name; empty for a curve of the whole job.
      curve: the curve's name, such as `loss` or `boolq/accuracy`.
      step: the number of steps taken.
      value: the value after them.
      time: when it was recorded, in seconds since 1970.
    """

    run: str
    curve: str
    step: int
    value: float
    time: float


def learning_curves(events: Sequence[Event]) -> list[Point]:
    """The points of all curves, in the order of their times.

    A resumed attempt repeats steps of the attempt before; its points take their place.
    """
    points = {(point.run, point.curve, point.step): point for point in _points(events)}
    return sorted(points.values(), key=lambda point: point.time)


def _points(events: Sequence[Event]) -> Iterator[Point]:
    runs: Sequence[str] = ()
    for line in events:
        match line["event"]:
            case "job":
                runs = line["runs"]
            case "step":
                for name in _RATES:
                    if (value := line.get(name)) is not None:
                        yield Point("", name, line["step"], value, line["time"])
            case "scores":
                for task, metrics in line["scores"].items():
                    for metric, value in metrics.items():
                        if value is not None:
                            run, curve = runs[line["run"]], f"{task}/{metric}"
                            yield Point(run, curve, line["step"], value, line["time"])
