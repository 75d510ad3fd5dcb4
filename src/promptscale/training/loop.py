"""The training loop: step, report, evaluate, keep the best, save.

Steps are dispatched without waiting for their results; the host looks at numbers only where it
reports, evaluates or saves.
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

from promptscale.data.batches import Batch
from promptscale.distributed.mesh import to_host
from promptscale.training.resume import State
from promptscale.training.step import Step, TrainState

log = logging.getLogger(__name__)

Scores = Mapping[str, float]


class Evaluation(NamedTuple):
    """One run's dev scores by task, and whatever is to be kept of its best step."""

    scores: Mapping[str, Scores]
    kept: Any = None


Evaluate = Callable[[Any], Sequence[Evaluation]]  # trainables to one evaluation per run


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When a loop ends, evaluates and saves, all in steps.

    `first`: steps that an earlier job took; batches and dropout go on from there.
    """

    steps: int
    evaluate_every: int
    save_every: int
    first: int = 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What training left: the kept trainables and a row per run, evaluation and metric.

    `trainable` is the best by dev score (the last, where nothing is evaluated) and `optimizer`
    the optimiser's state at the end, both with a leading axis of N. Rows: run (0 to N-1),
    eval_task (empty for the training loss), step, metric, value, selected, wall_seconds,
    accelerator_seconds. `kept`: per run what its best evaluation asked to keep, None where that was
    before a restart.
    """

    trainable: Any
    optimizer: Any
    rows: list[dict[str, Any]]
    kept: list[Any]


@dataclasses.dataclass
class _Progress:
    """Where the loop is, apart from the arrays."""

    step: int
    best: list[float]
    best_step: list[int]
    rows: list[dict[str, Any]]
    seconds: float


def train(
    step: Step,
    train_state: TrainState,
    frozen: Any,
    batch: Callable[[int], Batch],
    keys: Key[Array, " N"],
    schedule: Schedule,
    state: State,
    evaluate: Evaluate | None = None,
) -> Outcome:
    """Trains a batch of N runs, continuing from `state` if a killed job of the same kind left one.

    Args:
      step: from `make_step`.
      train_state: from `start`; N runs.
      frozen: what the loss takes and does not differentiate.
      batch: the batches [N, B, ...] of a step, in place; must not depend on anything else.
      keys: one per run [N].
      schedule: see `Schedule`.
      state: where the resume state is kept; the caller deletes it when all results are written.
      evaluate: dev scores per run and task; the step with the highest mean `score` is kept (early
        stopping, section 3). Without it only losses are reported and the last step is kept.
    """
    runs = len(keys)
    progress = _Progress(0, [-np.inf] * runs, [0] * runs, [], 0.0)
    best = jax.tree.map(jnp.copy, train_state.trainable) if evaluate else None
    kept: list[Any] = [None] * runs
    if resumed := state.restore((train_state, best)):
        (train_state, best), saved = resumed
        progress = _Progress(**saved)
        log.info("resuming at step %d of %d", progress.step, schedule.steps)
    places = jax.tree.map(lambda leaf: leaf.sharding, train_state)
    compilable = jax.jit(step, donate_argnums=0, out_shardings=places)
    compiled = compilable.lower(
        train_state, frozen, batch(schedule.first), keys, np.int32(0)
    ).compile()
    started = time.perf_counter() - progress.seconds
    while progress.step < schedule.steps:
        number = schedule.first + progress.step
        train_state = compiled(train_state, frozen, batch(number), keys, np.int32(number))
        progress.step += 1
        last = progress.step == schedule.steps
        if last or progress.step % schedule.evaluate_every == 0:
            found = evaluate(train_state.trainable) if evaluate else [Evaluation({})] * runs
            losses = to_host(train_state.loss) / to_host(train_state.tokens)
            train_state = train_state._replace(
                loss=jnp.zeros_like(train_state.loss), tokens=jnp.zeros_like(train_state.tokens)
            )
            progress.seconds = time.perf_counter() - started
            _report(progress, found, runs, losses)
            if evaluate:
                best = _keep_better(progress, found, train_state.trainable, best, kept)
        if last or progress.step % schedule.save_every == 0:
            jax.block_until_ready(train_state)
            progress.seconds = time.perf_counter() - started
            state.save((train_state, best), dataclasses.asdict(progress))
    for row in progress.rows:
        row["selected"] = row["step"] == (progress.best_step[row["run"]] or schedule.steps)
    trainable = train_state.trainable if best is None else best
    return Outcome(trainable, train_state.optimizer, progress.rows, kept)


def _report(
    progress: _Progress,
    evaluations: Sequence[Evaluation],
    runs: int,
    losses: np.ndarray,
) -> None:
    """Adds the rows of one evaluation; each run is charged its share of the devices."""
    for run, (scores, _) in enumerate(evaluations):
        found = [(task, *item) for task, metrics in scores.items() for item in metrics.items()]
        found.append(("", "loss", float(losses[run])))
        for task, metric, value in found:
            progress.rows.append({
                "run": run,
                "eval_task": task,
                "step": progress.step,
                "metric": metric,
                "value": value,
                "wall_seconds": round(progress.seconds, 3),
                "accelerator_seconds": round(progress.seconds * jax.device_count() / runs, 3),
            })  # fmt: skip
        shown = "  ".join(f"{task} {metric} {value:.4g}" for task, metric, value in found)
        log.info("step %d  run %d  %s", progress.step, run, shown)


def _keep_better(
    progress: _Progress,
    evaluations: Sequence[Evaluation],
    trainable: Any,
    best: Any,
    kept: list[Any],
) -> Any:
    """Keeps each run that beat its best mean score so far; the first of equals stays."""
    means = [np.mean([metrics["score"] for metrics in one.scores.values()]) for one in evaluations]
    better = np.array([mean > best for mean, best in zip(means, progress.best, strict=True)])
    for run in map(int, np.flatnonzero(better)):
        progress.best[run] = float(means[run])
        progress.best_step[run] = progress.step
        kept[run] = evaluations[run].kept

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(choose, trainable, best)
