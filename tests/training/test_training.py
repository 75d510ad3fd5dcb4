"""The training step and loop: what changes, what is selected, and what a restart repeats."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from promptscale.config.settings import Optimizer
from promptscale.config.sizes import ModelConfig
from promptscale.data.microbatches import Rows, StepBatch
from promptscale.distributed.mesh import Devices
from promptscale.model import T5
from promptscale.planning.flops import forward
from promptscale.training.loop import DevResult, Schedule, train
from promptscale.training.methods import ModelTuning, PromptTuning, Start, loss_function
from promptscale.training.resume import State
from promptscale.training.step import Step, Sums, accumulate, initial_state, update
from tests.training.rows import micro_batches

CONFIG = ModelConfig(
    d_model=16, d_ff=32, num_encoder_layers=1, num_decoder_layers=1, num_heads=2, head_dim=8,
    vocab_size=64,
)  # fmt: skip
MODEL = T5(CONFIG, dropout_rate=0.1)
OPTIMIZER = Optimizer(learning_rate=0.3, weight_decay=1e-5)
CHECKPOINT_STEP = 1_100_000
SEEDS = (3, 4, 5)
DEVICES = Devices()


def rows_of(step: int, seeds=SEEDS, size=None) -> list[Rows]:
    """Random tokens that depend on seed and step alone: 4 rows of each run, `size` at a time."""
    draws = [np.random.default_rng([seed, step]) for seed in seeds]
    inputs = np.stack([draw.integers(2, 64, (4, 6), np.int32) for draw in draws])
    targets = np.stack([draw.integers(2, 64, (4, 3), np.int32) for draw in draws])
    return micro_batches(inputs, targets, size=size)


def batch(step: int) -> StepBatch:
    return StepBatch(rows_of(step))


def keys(seeds=SEEDS):
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def prompts(seeds=SEEDS):
    return jnp.stack([jax.random.normal(jax.random.key(seed), (5, 16)) for seed in seeds])


def started(trainable, optimizer=OPTIMIZER, step=CHECKPOINT_STEP):
    """The state before the first step of runs with the same optimiser."""
    runs = jax.tree.leaves(trainable)[0].shape[0]
    return initial_state(Start(trainable, {}, step), [optimizer] * runs, DEVICES)


@pytest.fixture(scope="module")
def params():
    tokens = jnp.ones((1, 2), jnp.int32)
    return jax.jit(MODEL.init)(jax.random.key(0), tokens, tokens)["params"]


PROMPT_LOSS = loss_function(MODEL, 1e-4, PromptTuning.for_inference)


@pytest.fixture(scope="module")
def step():
    return Step(PROMPT_LOSS, shared=True)


def test_only_the_prompts_change(params, step):
    before = jax.tree.map(np.array, params)
    train_state = started(prompts())
    for index in range(3):
        train_state = step(train_state, params, rows_of(index), keys(), index)
    jax.tree.map(np.testing.assert_array_equal, params, before)
    moved = np.sqrt(np.mean(np.square(train_state.trainable - prompts()), axis=(1, 2)))
    assert np.all(moved > 0.3)


def test_the_first_step_moves_a_prompt_by_the_learning_rate(params, step):
    """With the restored optimiser step the clip is active: the change has RMS 0.3."""
    train_state = step(started(prompts()), params, rows_of(0), keys(), 0)
    change = np.sqrt(np.mean(np.square(train_state.trainable - prompts()), axis=(1, 2)))
    np.testing.assert_allclose(change, 0.3, rtol=1e-4)


def test_runs_that_train_together_train_as_each_alone(params, step):
    """Each run draws its dropout from its key."""
    train_state, alone_step = started(prompts()), Step(PROMPT_LOSS, shared=True)
    alone = [started(prompts((seed,))) for seed in SEEDS]
    for index in range(3):
        train_state = step(train_state, params, rows_of(index), keys(), index)
        alone = [
            alone_step(state, params, rows_of(index, (seed,)), keys((seed,)), index)
            for state, seed in zip(alone, SEEDS, strict=True)
        ]
    for prompt, state in zip(train_state.trainable, alone, strict=True):
        np.testing.assert_allclose(prompt, state.trainable[0], rtol=1e-3, atol=1e-3)


def test_runs_that_train_together_share_no_factored_moments():
    """Moments are factored per run from 128 in both dimensions: for P = 150, not for P = 100."""
    for length, factored in ((100, False), (150, True)):
        train_state = started(jnp.zeros((3, length, 512)))
        rows, columns = (optax.tree.get(train_state.optimizer, name) for name in ("v_row", "v_col"))
        assert rows.shape == ((3, length) if factored else (3, 1))
        assert columns.shape == ((3, 512) if factored else (3, 1))


class _KilledError(Exception):
    """Ends a training as the loss of its machine would."""


@pytest.mark.parametrize("killed_at", [1, 5, 8])
def test_a_killed_job_ends_with_the_same_bits(params, step, tmp_path, killed_at):
    """Prompts, selection and losses after a restart equal those without one."""

    def evaluate(trainable):
        means = [float(-np.abs(np.mean(row) - 0.5)) for row in np.asarray(trainable)]
        return [DevResult({"task": {"score": mean}}, {"task": [str(mean)]}) for mean in means]

    def run(state, batches):
        schedule = Schedule(steps=10, evaluate_every=2, save_every=3)
        train_state = started(prompts())
        return train(
            step, train_state, params, batches, keys(), schedule, State(str(state), "job"), evaluate
        )

    def dying(index):
        if index == killed_at:
            raise _KilledError
        return batch(index)

    whole = run(tmp_path / "whole", batch)
    with pytest.raises(_KilledError):
        run(tmp_path / "killed", dying)
    resumed = run(tmp_path / "killed", batch)
    np.testing.assert_array_equal(whole.trainable, resumed.trainable)
    timeless = [
        [(row["run"], row["step"], row["metric"], row["value"], row["selected"]) for row in rows]
        for rows in (whole.rows, resumed.rows)
    ]
    assert timeless[0] == timeless[1]


def test_a_run_that_has_waited_is_reported_and_selected_no_more(params, step, tmp_path):
    """Run 0 is best at step 2, and would be better at step 10; run 1 improves until then."""
    curves = [[1, 0, 0, 0, 9, 9], [1, 2, 3, 4, 4, 4], [0, 1, 0, 1, 0, 1]]
    evaluations = iter(zip(*curves, strict=True))

    def evaluate(_):
        return [DevResult({"task": {"score": float(score)}}, {}) for score in next(evaluations)]

    result = train(
        step, started(prompts()), params, batch, keys(), Schedule(12, 2, 12, patience=2),
        State(str(tmp_path / "state"), "job"), evaluate,
    )  # fmt: skip
    scores = [row for row in result.rows if row["metric"] == "score"]
    steps = [[row["step"] for row in scores if row["run"] == run] for run in range(3)]
    assert steps == [[2, 4, 6], [2, 4, 6, 8, 10, 12], [2, 4, 6, 8]]
    assert [row["step"] for row in scores if row["selected"]] == [2, 4, 8]


def test_the_first_of_the_best_dev_steps_is_selected(params, step, tmp_path):
    scores = iter([[1.0, 5.0, 2.0], [3.0, 5.0, 1.0], [2.0, 4.0, 2.0]])
    seen = []

    def evaluate(trainable):
        seen.append(np.array(trainable))
        # The mean over the tasks decides; the scores of one task alone would select other steps.
        pairs = [{"a": {"score": s + 4}, "b": {"score": s - 4}} for s in next(scores)]
        return [DevResult(pair, {"a": [f"evaluation {len(seen)}"]}) for pair in pairs]

    outcome = train(
        step, started(prompts()), params, batch, keys(), Schedule(6, 2, 6),
        State(str(tmp_path / "state"), "job"), evaluate,
    )  # fmt: skip
    selected = {row["run"]: row["step"] for row in outcome.rows if row["selected"]}
    assert selected == {0: 4, 1: 2, 2: 2}
    texts = [predictions["a"] for predictions in outcome.predictions]
    assert texts == [["evaluation 2"], ["evaluation 1"], ["evaluation 1"]]
    for run, evaluation in ((0, 1), (1, 0), (2, 0)):
        np.testing.assert_array_equal(outcome.trainable[run], seen[evaluation][run])


def test_microbatches_give_the_same_update_with_dropout(params, step):
    """Examples draw their masks by their place in the batch, whichever of them pass together."""
    whole = step(started(prompts()), params, rows_of(0), keys(), 0)
    train_state = step(started(prompts()), params, rows_of(0, size=2), keys(), 0)
    np.testing.assert_allclose(whole.loss, train_state.loss, rtol=1e-5)
    np.testing.assert_allclose(whole.trainable, train_state.trainable, rtol=1e-4, atol=1e-4)


def diverging(run: int, at: int):
    """A step whose loss of a run is NaN from step `at` on."""

    def loss(trainable, frozen, rows, keys):
        value, tokens = PROMPT_LOSS(trainable, frozen, rows, keys)
        return value + jnp.where(rows.inputs[:, 0] == 1, jnp.nan, 0.0), tokens

    def batches(number: int) -> StepBatch:
        (rows,) = rows_of(number)
        if number >= at:
            rows.inputs[4 * run, 0] = 1  # a token that `batch` never draws
        return StepBatch([rows])

    return Step(loss, shared=True), batches


@pytest.mark.parametrize(("at", "last"), [(0, 0), (3, 3), (4, 4)])
def test_a_diverged_run_stops_and_leaves_the_others_to_the_bit(params, tmp_path, at, last):
    seen = []

    def evaluate(trainable):
        seen.append(np.array(trainable))
        return [DevResult({"task": {"score": float(len(seen))}}, {"task": ["x"]})] * 3

    def trained(name, step, batches):
        seen.clear()
        state = State(str(tmp_path / name), "job")
        return train(
            step, started(prompts()), params, batches, keys(), Schedule(6, 2, 6), state, evaluate
        )

    step, batches = diverging(1, at)
    diverged = trained("diverged", step, batches)
    healthy = trained("healthy", step, batch)
    rows = [row for row in diverged.rows if row["run"] == 1]
    assert [(row["step"], row["value"]) for row in rows if row["metric"] == "diverged"] == [(at, 1)]
    assert max(row["step"] for row in rows) == last
    assert np.isfinite([row["value"] for row in diverged.rows]).all()
    assert {row["step"] for row in rows if row["selected"]} == {last}
    if not at:
        np.testing.assert_array_equal(diverged.trainable[1], prompts()[1])
    for run in (0, 2):
        np.testing.assert_array_equal(diverged.trainable[run], healthy.trainable[run])
        ours, theirs = (
            [(r["step"], r["metric"], r["value"], r["selected"]) for r in x.rows if r["run"] == run]
            for x in (diverged, healthy)
        )
        assert ours == theirs and not any(metric == "diverged" for _, metric, _, _ in ours)


def test_a_run_stops_before_its_prompt_overflows(params):
    leaping = Optimizer(learning_rate=1e25)
    state = initial_state(Start(jnp.array(prompts()), {}, 0), [leaping] * 3, Devices())
    step = Step(PROMPT_LOSS, shared=True)
    state = step(state, params, batch(0).rows, keys(), 0)
    after = np.array(state.trainable)
    assert not np.array(state.diverged).any() and 1e20 < np.abs(after).max() < np.inf
    for number in range(1, 5):
        state = step(state, params, batch(number).rows, keys(), number)
    assert (np.array(state.diverged) == 2).all()
    np.testing.assert_array_equal(state.trainable, after)


def test_a_training_ends_when_all_runs_have_diverged(params, tmp_path):
    def unreachable(number):
        assert number < 4
        return batch(number)

    nan = jax.tree.map(lambda leaf: leaf * jnp.nan, params)
    step = Step(PROMPT_LOSS, shared=True)
    outcome = train(
        step, started(prompts()), nan, unreachable, keys(), Schedule(100, 4, 50),
        State(str(tmp_path / "state"), "job"),
    )  # fmt: skip
    assert [(row["run"], row["metric"]) for row in outcome.rows] == [
        (n, "diverged") for n in range(3)
    ]
    np.testing.assert_array_equal(outcome.trainable, prompts())


def test_trials_train_together_as_each_alone():
    """The trials' optimisers differ in every searched setting, and in parameter scaling."""
    trials = [
        Optimizer(learning_rate=0.3, weight_decay=1e-5),
        Optimizer(learning_rate=0.1, weight_decay=1e-5, parameter_scaling=True, warmup_steps=3),
        Optimizer(learning_rate=0.5, weight_decay=1e-5, decay_factor=0.1, steps_per_decay=2),
    ]

    def loss(prompts, frozen, rows, keys):
        """A loss without a model; its gradient depends on rows, keys and prompts."""
        noise = jax.vmap(lambda key: jax.random.normal(key, prompts.shape[1:]))(keys)
        wanted = jnp.mean(rows.inputs, axis=1)[:, None, None] / 32 + noise
        difference = prompts[rows.run] - wanted
        return jnp.sum(jnp.square(difference), axis=(1, 2)), jnp.ones(len(rows.run))

    train_state = initial_state(Start(prompts(), {}, CHECKPOINT_STEP), trials, DEVICES)
    step = Step(loss, shared=True)
    for index in range(5):
        train_state = step(train_state, {}, rows_of(index), keys(), index)
    for run, (seed, settings) in enumerate(zip(SEEDS, trials, strict=True)):
        alone, alone_step = started(prompts((seed,)), settings), Step(loss, shared=True)
        for index in range(5):
            alone = alone_step(alone, {}, rows_of(index, (seed,)), keys((seed,)), index)
        np.testing.assert_allclose(
            train_state.trainable[run], alone.trainable[0], rtol=1e-6, atol=1e-6
        )


def dot_flops(function, *arguments) -> float:
    """Multiply-adds times two of all matrix products in the traced function."""

    def count(jaxpr) -> float:
        total = 0.0
        for equation in jaxpr.eqns:
            if equation.primitive.name == "dot_general":
                ((left, _), _) = equation.params["dimension_numbers"]
                shape = equation.invars[0].aval.shape
                summed = np.prod([shape[axis] for axis in left])
                total += 2.0 * summed * np.prod(equation.outvars[0].aval.shape)
            for value in equation.params.values():
                inner = getattr(value, "jaxpr", value if hasattr(value, "eqns") else None)
                if inner is not None:
                    total += count(inner)
        return total

    return count(jax.make_jaxpr(function)(*arguments).jaxpr)


def test_the_step_has_no_weight_gradient_product():
    """Dot FLOPs equal the formula for input gradients only (2 linear + 3 attention), to 2 %."""
    config = ModelConfig(
        d_model=64, d_ff=128, num_encoder_layers=2, num_decoder_layers=2, num_heads=4, head_dim=16,
        vocab_size=512,
    )  # fmt: skip
    runs, rows, text, length, t = 3, 4, 40, 20, 10
    model = T5(config, dropout_rate=0.1)
    tokens = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    params = jax.eval_shape(model.init, jax.random.key(0), tokens, tokens)["params"]
    ids = [np.ones((runs, rows, size), np.int32) for size in (text, t)]

    def counted(method, trainable, frozen) -> float:
        """Of a step: its micro-batches, and the updates of all arrays."""
        loss = loss_function(model, 1e-4, method.for_inference)
        state = started(trainable)
        sums, number = Sums(trainable, state.loss, state.tokens), jnp.int32(0)

        def updated(array, moments):
            arguments = array, state.optimizer.hyperparameters, state.diverged
            return dot_flops(update, (array, moments), *arguments)

        total = sum(jax.tree.leaves(jax.tree.map(updated, trainable, state.optimizer.arrays)))
        for part in micro_batches(*ids, shared=method.shared):
            add = functools.partial(accumulate, loss, method.shared, 1.0)
            total += dot_flops(add, sums, trainable, frozen, part, keys(), number)
        return total

    prompt_flops = counted(PromptTuning, jnp.zeros((runs, length, config.d_model)), params)

    linear, attention = (runs * rows * n for n in forward(config, text + length, t))
    # The decoder's self-attention sees no prompt before its first cross-attention, so the first
    # layer's self-attention and everything below need no gradient.
    joint = config.num_heads * config.head_dim
    below = runs * rows * (2 * t * 4 * config.d_model * joint + 2 * 4 * joint * t * t)
    expected = 2 * linear + 3 * attention - below
    assert prompt_flops == pytest.approx(expected, rel=0.02)
    # The same count of a step that tunes all weights has the products of their gradients.
    copies = jax.tree.map(lambda leaf: jnp.zeros((runs, *leaf.shape), leaf.dtype), params)
    full = counted(ModelTuning, copies, {})
    linear, attention = (runs * rows * n for n in forward(config, text, t))
    assert full == pytest.approx(3 * linear + 3 * attention, rel=0.02)
