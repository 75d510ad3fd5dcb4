"""Operations, hours and money of a configuration, against XLA's own count and public arithmetic."""

import json

import jax
import jax.numpy as jnp
import pytest
from typer.testing import CliRunner

from promptscale.cli import app
from promptscale.config import grid
from promptscale.config.accelerators import accelerators
from promptscale.config.load import load_config
from promptscale.config.sizes import PAPER_SIZES, ModelConfig
from promptscale.data.microbatches import Rows
from promptscale.model import T5
from promptscale.planning import costs
from promptscale.planning.flops import forward
from promptscale.training.methods import ModelTuning, PromptTuning, loss_function
from tests.docs.test_docs import REPOSITORY

PAPER = REPOSITORY / "config/paper.yaml"


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
    speed = 32 * kind.peak_tflops * 1e12 * kind.utilization
    assert cost.hours == pytest.approx(cost.flops / speed / 3600)
    assert cost.accelerator_hours == pytest.approx(16 * cost.hours)
    assert cost.usd == pytest.approx(kind.usd_per_hour * cost.hours)
    # Three seeds, 30,000 steps; evaluations add something.
    steps = 3 * 30_000 * 32 * forward(PAPER_SIZES["xxl"], 612, 62).step("inputs")
    assert steps < cost.flops < 1.3 * steps


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


def test_a_budget_refuses_in_a_sentence():
    config = load_config(PAPER)
    jobs = grid.prompt_jobs(config)
    assert "accelerator-hours" in costs.beyond_budget(config, jobs)
    small = [job for job in jobs if job.size == "small"][:1]
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
