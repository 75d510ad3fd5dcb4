"""The training loop: step, report, evaluate, select the best step, save.

Steps are dispatched without waiting for their results. The host waits for numbers only where it
evaluates or saves.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from promptscale.data.microbatches import StepBatch
from promptscale.distributed.mesh import to_host
from promptscale.storage.events import event
from promptscale.training.reports import Reports
from promptscale.training.resume import State
from promptscale.training.step import Step, TrainState

log = logging.getLogger(__name__)

Scores = Mapping[str, float]  # by metric
Predictions = Mapping[str, Sequence[str]]  # by task


class DevResult(NamedTuple):
    """One run's dev scores by task, and the predictions that they were computed from."""

    scores: Mapping[str, Scores]
    predictions: Predictions


Evaluate = Callable[[Any], Sequence[DevResult]]  # trainables [N, ...] to a result per run


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When a training ends, evaluates and saves, in steps.

    `first`: the steps that an earlier job took; batches and dropout continue from there.
    `patience`: the evaluations without a better score after which a run stops; 0: it does not.
    """

    steps: int
    evaluate_every: int
    save_every: int
    first: int = 0
    patience: int = 0


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a training of N runs leaves.

    Attributes:
      trainable: each run at its selected step (the last, where nothing is evaluated); leading
        axis N.
      optimizer: the optimiser's state after the last step; leading axis N.
      rows: a row per run, evaluation and metric: `run` (0 to N-1), `eval_task` (empty for the
        training loss), `step`, `metric`, `value`, `selected`, `wall_seconds` (the run's share of
        the training's), `accelerator_seconds` (that share times the devices). A diverged run is
        last evaluated as it was before the step at which it diverged, and has a row of metric
        `diverged` there, of value 1.
      predictions: each run's at its selected step; empty where that was before a restart.
    """

    trainable: Any
    optimizer: Any
    rows: list[dict[str, Any]]
    predictions: list[Predictions]


@dataclasses.dataclass
class _Progress:
    """Where the loop is, apart from the arrays."""

    step: int
    best: list[float]
    best_step: list[int]
    waited: list[int]  # evaluations since the best
    diverged: list[bool]
    rows: list[dict[str, Any]]
    seconds: float

    def stopped(self, patience: int) -> list[bool]:
        """Marks the runs that have diverged, or have waited long enough for a better score."""
        return [
            diverged or 0 < patience <= waited
            for diverged, waited in zip(self.diverged, self.waited, strict=True)
        ]


def train(
    step: Step,
    train_state: TrainState,
    frozen: Any,
    batch: Callable[[int], StepBatch],
    keys: Key[Array, " N"],
    schedule: Schedule,
    state: State,
    evaluate: Evaluate | None = None,
    peak_flops: float = 0.0,
) -> TrainingResult:
    """Trains N runs; continues from `state` if a killed job of the same specification left a state.

    Args:
      step: the training step of the job's method.
      train_state: from `initial_state`.
      frozen: what the loss takes and does not differentiate.
      batch: the micro-batches of a step, on the devices; a function of the step alone.
      keys: a key per run [N].
      schedule: see `Schedule`.
      state: where the resume state lies; the caller deletes it when all results are written.
      evaluate: dev scores and predictions per run; the step with the highest mean `score` over
        tasks is selected (early stopping, section 3), the first of equals. Without it only losses
        are reported and the last step is selected.
      peak_flops: the operations per second of all devices at their peak; 0: not known.

    A run stops at the step at which it diverges, and when the schedule's patience is at its end: it
    is reported and selected no more. The training ends early if all runs have stopped.
    """
    runs = len(keys)
    progress = _Progress(
        0, [-np.inf] * runs, [schedule.steps] * runs, [0] * runs, [False] * runs, [], 0.0
    )
    best = jax.tree.map(jnp.copy, train_state.trainable) if evaluate else None
    predictions: list[Predictions] = [{} for _ in range(runs)]
    if resumed := state.restore((train_state, best)):
        (train_state, best), saved = resumed
        progress = _Progress(**saved)
        log.info(
            "resuming at step %d of %d", progress.step, schedule.steps,
            extra=event("resuming", step=progress.step, steps=schedule.steps),
        )  # fmt: skip
    started, earlier = time.perf_counter(), progress.seconds

    def seconds() -> float:
        """Seconds of training so far, without compilation and earlier attempts' lost steps."""
        return earlier + time.perf_counter() - started - step.seconds

    reports = Reports(schedule.steps, seconds, peak_flops)
    while progress.step < schedule.steps and not all(progress.stopped(schedule.patience)):
        number = schedule.first + progress.step
        step_batch = batch(number)
        train_state = step(train_state, frozen, step_batch.rows, keys, number)
        progress.step += 1
        reports.after_step(progress.step, train_state, step_batch.work)
        last = progress.step == schedule.steps
        if last or progress.step % schedule.evaluate_every == 0:
            reports.now(progress.step, train_state)
            log.info(
                "evaluating step %d", progress.step, extra=event("evaluating", step=progress.step)
            )
            results = evaluate(train_state.trainable) if evaluate else [DevResult({}, {})] * runs
            progress.seconds = seconds()
            stopped = progress.stopped(schedule.patience)
            steps = _report(progress, results, train_state, schedule.first, stopped)
            train_state = train_state._replace(
                loss=jnp.zeros_like(train_state.loss), tokens=jnp.zeros_like(train_state.tokens)
            )
            if evaluate:
                better = _select(progress, results, steps, stopped)
                best = _replace_where(better, train_state.trainable, best)
                for run in map(int, np.flatnonzero(better)):
                    predictions[run] = results[run].predictions
            reports.restart()
        if last or progress.step % schedule.save_every == 0:
            jax.block_until_ready(train_state)
            progress.seconds = seconds()
            state.save((train_state, best), dataclasses.asdict(progress))
            log.info("saved step %d", progress.step, extra=event("saved", step=progress.step))
    for row in progress.rows:
        row["selected"] = row["step"] == progress.best_step[row["run"]]
    trainable = train_state.trainable if best is None else best
    return TrainingResult(trainable, train_state.optimizer, progress.rows, predictions)


def _report(
    progress: _Progress,
    results: Sequence[DevResult],
    train_state: TrainState,
    first: int,
    stopped: Sequence[bool],
) -> list[int]:
    """Adds the rows of an evaluation; each run is charged its share of the time.

    `first` are the steps of an earlier job. Runs that have `stopped` get no rows. Returns the steps
    that each run has taken.
    """
    loss, tokens, diverged = map(to_host, train_state[2:])
    steps = np.where(diverged > 0, diverged - first - 1, progress.step).tolist()
    reported = {(row["run"], row["step"]) for row in progress.rows}
    share = progress.seconds / len(results)
    for run, (scores, _) in enumerate(results):
        if stopped[run]:
            continue
        values: list[tuple[str, str, float]] = []
        if (run, steps[run]) not in reported:
            values += [
                (task, *item) for task, metrics in scores.items() for item in metrics.items()
            ]
            if tokens[run]:
                values.append(("", "loss", float(loss[run] / tokens[run])))
        if diverged[run]:
            progress.diverged[run] = True
            values.append(("", "diverged", 1.0))
            log.warning(
                "run %d diverged at step %d and stops", run, steps[run] + 1,
                extra=event("diverged", run=run, step=steps[run] + 1),
            )  # fmt: skip
        for task, metric, value in values:
            progress.rows.append({
                "run": run,
                "eval_task": task,
                "step": steps[run],
                "metric": metric,
                "value": value,
                "wall_seconds": round(share, 3),
                "accelerator_seconds": round(share * jax.device_count(), 3),
            })  # fmt: skip
        shown = "  ".join(f"{task} {metric} {value:.4g}" for task, metric, value in values)
        log.info(
            "step %d  run %d  %s", steps[run], run, shown,
            extra=event("scores", step=steps[run], run=run, scores=scores),
        )  # fmt: skip
    return steps


def _select(
    progress: _Progress,
    results: Sequence[DevResult],
    steps: Sequence[int],
    stopped: Sequence[bool],
) -> np.ndarray:
    """Marks [N] the runs whose mean score is the best so far, and records it and the step."""
    means = [np.mean([scores["score"] for scores in run.scores.values()]) for run in results]
    better = ~np.array(stopped) & (np.array(means) > np.array(progress.best))
    progress.waited = [0 if best else waited + 1
                       for best, waited in zip(better, progress.waited, strict=True)]  # fmt: skip
    for run in map(int, np.flatnonzero(better)):
        progress.best[run] = float(means[run])
        progress.best_step[run] = steps[run]
    return better


def _replace_where(better: np.ndarray, new: Any, old: Any) -> Any:
    """The runs of `new` that are marked in `better` [N], the others of `old`."""

    def choose(new_leaf: jax.Array, old_leaf: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(-1, *[1] * (new_leaf.ndim - 1)), new_leaf, old_leaf)

    return jax.tree.map(choose, new, old)
