"""Operations, hours and money of a configuration, against XLA's own count and public arithmetic."""

import json

import jax
import jax.numpy as jnp
import pytest
from typer.testing import CliRunner

from promptscale.cli import app
from promptscale.config import grid, jobs, sequences
from promptscale.config.accelerators import accelerators
from promptscale.config.lengths import Lengths, lengths
from promptscale.config.load import load_config
from promptscale.config.sequences import Sequences
from promptscale.config.sizes import PAPER_SIZES, ModelConfig
from promptscale.data.microbatches import Rows
from promptscale.model import T5
from promptscale.planning import costs
from promptscale.planning.flops import forward
from promptscale.training.methods import ModelTuning, PromptTuning, loss_function
from tests.docs.test_docs import REPOSITORY

PAPER = REPOSITORY / "config/paper.yaml"
MADE_UP = Lengths(source="made up", examples=10, inputs=(40.0, 600.0), target=3.5, longest_target=5)


@pytest.mark.parametrize(
    ("size", "tera"),
    [
        ("small", (1.18, 2.52, 3.54)),
        ("base", (4.86, 10.2, 14.6)),
        ("large", (16.9, 35.1, 50.7)),
        ("xl", (61.5, 125.6, 184.5)),
        ("xxl", (240, 485.7, 720.7)),
    ],
)
def test_a_batch_of_the_papers_shape_costs_what_arithmetic_says(size, tera):
    """32 examples of 100 + 512 and 62 tokens: forward, prompt tuning, model tuning."""
    one = forward(PAPER_SIZES[size], 612, 62)
    found = (32 * flops / 1e12 for flops in map(one.step, ("nothing", "inputs", "weights")))
    assert tuple(found) == pytest.approx(tera, rel=0.005)


def test_xla_counts_as_many_operations():
    """Forward and backward of both methods, on a model wide enough for its matrix products."""
    config = ModelConfig(
        d_model=256, d_ff=512, num_encoder_layers=2, num_decoder_layers=2, num_heads=4,
        vocab_size=512,
    )  # fmt: skip
    model, prompt_length = T5(config), 16
    ids = jnp.ones((4, 112), jnp.int32), jnp.ones((4, 32), jnp.int32)
    batch = Rows(*ids, jnp.zeros(4, int), jnp.arange(4))
    params = model.init(jax.random.key(0), batch.inputs, batch.targets)["params"]
    prompt = jnp.zeros((1, prompt_length, config.d_model))
    keys = jax.random.split(jax.random.key(0), 4)

    def counted(function, *arguments) -> float:
        return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]

    prompt_loss = loss_function(model, 0.0, PromptTuning.for_inference)
    model_loss = loss_function(model, 0.0, ModelTuning.for_inference)

    def forwards(prompt):
        return jnp.sum(prompt_loss(prompt, params, batch, keys)[0])

    by_prompt = jax.grad(lambda prompt, params: prompt_loss(prompt, params, batch, keys)[0].sum())
    by_model = jax.grad(lambda params: model_loss(params, {}, batch, keys)[0].sum())
    behind = forward(config, 112 + prompt_length, 32)
    # XLA also counts elementwise operations, a few per cent at this width.
    assert 1.0 < counted(forwards, prompt) / (4 * behind.step("nothing")) < 1.05
    assert 0.95 < counted(by_prompt, prompt, params) / (4 * behind.step("inputs")) < 1.05
    assert 0.95 < counted(by_model, params) / (4 * forward(config, 112, 32).step("weights")) < 1.05


def test_hours_and_money_follow_from_the_table():
    config = load_config(PAPER)
    job = next(job for job in grid.prompt_jobs(config) if job.size == "xxl")
    cost = costs.job_cost(config, job)
    kind = accelerators()["v3-32"]
    encoder_and_training = (cost.flops - cost.decoding_flops) / kind.utilization
    busy = encoder_and_training + cost.decoding_flops / kind.decoding_utilization
    assert cost.hours == pytest.approx(busy / (32 * kind.peak_tflops * 1e12) / 3600)
    assert cost.accelerator_hours == pytest.approx(16 * cost.hours)
    assert cost.usd == pytest.approx(kind.usd_per_hour * cost.hours)


def test_flops_are_those_of_the_lengths_and_their_padding(monkeypatch: pytest.MonkeyPatch):
    """Training with three seeds, and 30 evaluations of a dev set of 10 examples."""
    monkeypatch.setattr(jobs, "lengths", lambda task, split: MADE_UP)
    config = load_config(PAPER)
    job = next(job for job in grid.prompt_jobs(config) if len(job.tasks) == 1)
    assert job.prompt_length == 100 and job.sequences == (
        Sequences(3 * 30_000 * 32, (140, 612), 3.5, "inputs"),
        Sequences(3 * 30 * 10, (140, 700), 5, "nothing"),
    )
    real = 1 - costs.PADDING["prompt_tuning"]

    def flops(inputs: int, targets: float, gradient: str) -> float:
        return forward(job.architecture, inputs / real, targets / real).step(gradient)

    step = (flops(140, 3.5, "inputs") + flops(612, 3.5, "inputs")) / 2
    answer = (flops(140, 5, "nothing") + flops(700, 5, "nothing")) / 2
    encoder = (flops(140, 0, "nothing") + flops(700, 0, "nothing")) / 2
    cost = costs.job_cost(config, job)
    assert cost.flops == pytest.approx(2_880_000 * step + 900 * answer)
    assert cost.decoding_flops == pytest.approx(900 * (answer - encoder))


def test_a_mixture_is_trained_on_its_tasks_in_proportion_to_their_sizes():
    config = load_config(PAPER)
    job = next(job for job in grid.model_jobs(config) if job.method == "model_tuning_multitask")
    trained = [part.number for part in job.sequences if part.gradient == "weights"]
    rows = len(job.runs) * 30_000 * 2048
    assert rows < sum(trained) < 1.3 * rows  # most examples fill more than half of a packed row
    sizes = [lengths(task, "train").examples for task in job.train_tasks]
    assert trained == pytest.approx([sum(trained) * size / sum(sizes) for size in sizes])


def test_packed_rows_are_priced_by_the_examples_in_them(monkeypatch: pytest.MonkeyPatch):
    """Inputs of 40 tokens and targets of 3.5: a row of 512 and 62 holds twelve examples."""
    short = MADE_UP.model_copy(update={"inputs": (40.0,)})
    monkeypatch.setattr(jobs, "lengths", lambda task, split: short)
    job = next(job for job in grid.model_jobs(load_config(PAPER)) if len(job.tasks) == 1)
    assert job.sequences[0].number == pytest.approx(30_000 * 128 * 12, rel=0.001)
    unpacked = job.settings.model_copy(update={"pack": False})
    assert job.model_copy(update={"settings": unpacked}).sequences[0].number == 30_000 * 128


def test_worked_examples_stand_before_every_question():
    config = load_config(REPOSITORY / "config/miniature.yaml")
    job = grid.prompt_design_jobs(config)[0]
    train, dev = (lengths("generated", split) for split in ("train", "validation"))
    before = job.settings.shots * (sum(train.inputs) / 16 + train.target)
    part = job.sequences[0]
    assert part.inputs == pytest.approx([before + tokens for tokens in dev.inputs])
    assert (part.number, part.targets, part.gradient) == (500, dev.longest_target + 2, "nothing")


def test_two_places_stand_for_all_places_that_divide_a_segment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sequences, "segments", lambda longest: {longest: 1.0})
    priced = sum(
        part.number * forward(PAPER_SIZES["xl"], *part.inputs, part.targets).step("weights")
        for part in sequences.prefix_lm(64, 101)
    )
    places = [(place + 0.5) / 1000 * 100 for place in range(1000)]
    drawn = [forward(PAPER_SIZES["xl"], 1 + x, 101 - x).step("weights") for x in places]
    assert priced == pytest.approx(64 * sum(drawn) / 1000, rel=1e-6)


def test_a_price_says_whether_its_utilization_was_measured(monkeypatch: pytest.MonkeyPatch):
    table = dict(accelerators())
    measured = {"training": {"xl": 0.5, "xxl": 0.7}, "decoding": {"small": 0.02}}
    for kind, shares in (("h100", measured), ("h200", {})):
        table[kind] = table[kind].model_copy(update={"measured": shares})
    monkeypatch.setattr(costs, "accelerators", lambda: table)
    config = load_config(PAPER)
    job = next(job for job in grid.prompt_jobs(config) if job.size == "xxl")
    faster, slower = (costs.job_cost(config, job, kind).hours for kind in ("h100", "h200"))
    assert faster == pytest.approx(slower / 2, rel=0.05)  # decoding is not faster
    words = costs.estimate(config, "h100").utilization
    assert words["prompt_tuning"] == (
        "0.35 assumed",
        "decoding 0.02 measured",
        "decoding 0.05 assumed",
        "0.5-0.7 measured",
    )
    assert costs.estimate(config).utilization["language_modeling"] == ("0.35 assumed",)


def test_the_papers_prompts_cost_no_more_than_16_000_chip_hours():
    """Every sequence at its full length would be 38,000."""
    prompts = costs.estimate(load_config(PAPER)).by_kind["prompt_tuning"]
    assert prompts.jobs == 456 and 10_000 < prompts.accelerator_hours <= 16_000


def test_the_longest_path_goes_through_the_chain_of_adaptations():
    config = load_config(PAPER)
    chain = [
        costs.job_cost(config, grid.language_modeling_job(config, "xxl", checkpoint)).hours
        for checkpoint in ("lm_10000", "lm_50000")
    ]
    last = max(
        costs.job_cost(config, job).hours
        for job in grid.prompt_jobs(config)
        if (job.size, job.checkpoint) == ("xxl", "lm_50000")
    )
    multitask = max(costs.job_cost(config, job).hours for job in grid.model_jobs(config))
    longest = costs.estimate(config).longest_path_hours
    assert longest == pytest.approx(max(sum(chain) + last, multitask))


def test_the_search_is_priced_beside_what_all_runs():
    """Its trials differ in batch and steps, so its price is no multiple of the grid's."""
    config = load_config(PAPER)
    estimate = costs.estimate(config)
    jobs = grid.search_jobs(config)
    priced = sum(costs.job_cost(config, job).accelerator_hours for job in jobs)
    assert estimate.search.jobs == len(jobs) > 0
    assert estimate.search.accelerator_hours == pytest.approx(priced)
    without = config.model_copy(update={"hyperparameter_search": None})
    assert costs.estimate(without).search == costs.Cost()
    assert costs.estimate(without).total == estimate.total


def test_a_budget_refuses_in_a_sentence():
    config = load_config(PAPER)
    prompts = grid.prompt_jobs(config)
    assert "accelerator-hours" in costs.beyond_budget(config, prompts)
    small = [job for job in prompts if job.size == "small"][:1]
    assert costs.beyond_budget(config, small) is None
    assert costs.beyond_budget(config, []) is None


def test_a_size_without_hardware_is_priced_and_named():
    config = load_config(PAPER)
    whole = costs.estimate(config)
    assert whole.assumed == ()
    few = config.model_copy(update={"hardware": {"small": config.hardware["small"]}})
    partial = costs.estimate(few)
    assert partial.assumed == ("base", "large", "xl", "xxl")
    assert set(partial.accelerators) == {"v2-8", "h100"}
    assert partial.total.flops == whole.total.flops
    on_h100 = costs.estimate(config, "h100").total.accelerator_hours
    assert partial.total.accelerator_hours > on_h100  # a v2-8 is slower


def test_a_size_without_hardware_is_not_free():
    config = load_config(PAPER).model_copy(update={"hardware": {}})
    assert "accelerator-hours" in costs.beyond_budget(config, grid.prompt_jobs(config))
    miniature = load_config(REPOSITORY / "config/miniature.yaml")
    assert costs.beyond_budget(miniature, grid.all_jobs(miniature).values()) is None


def test_states_are_two_files_of_what_is_trained_and_the_best_of_it():
    config = load_config(PAPER)
    prompts = next(job for job in grid.prompt_jobs(config) if job.size == "xxl")
    assert costs.job_cost(config, prompts).state_bytes == 2 * 2 * 4 * 3 * 100 * 4096
    models = next(job for job in grid.model_jobs(config) if job.size == "xxl")
    assert costs.job_cost(config, models).state_bytes == 2 * 2 * 4 * 11_135_332_352
    adapted = grid.language_modeling_job(config, "xxl", "lm_10000")
    assert costs.job_cost(config, adapted).state_bytes == 2 * 4 * 11_135_332_352


def test_plan_prices_as_json_and_on_another_accelerator():
    arguments = ["plan", "--config", str(PAPER), "--json"]
    ours, other = (
        json.loads(CliRunner().invoke(app, [*arguments, *more]).stdout)["cost"]
        for more in ([], ["--accelerator", "v5p-8"])
    )
    kinds = {"language_modeling", "prompt_tuning", "model_tuning", "model_tuning_multitask"}
    assert set(ours["by_kind"]) == set(other["by_kind"]) == {*kinds, "prepared_text"}
    # Of the 156 billion tokens of C4, 352 of 1024 parts, two bytes each.
    assert ours["by_kind"]["prepared_text"]["stored_bytes"] == pytest.approx(107.25e9)
    assert ours["accelerators"] == ["v2-8", "v3-32"] and other["accelerators"] == ["v5p-8"]
    result = CliRunner().invoke(app, ["plan", "--config", str(PAPER), "--accelerator", "v9"])
    assert result.exit_code != 0
