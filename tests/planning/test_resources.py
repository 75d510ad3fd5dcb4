"""What jobs ask of schedulers."""

import json
from pathlib import Path

import pytest
import yaml

from promptscale.config import grid
from promptscale.config.load import load_config, validate
from promptscale.config.schema import Config
from promptscale.planning.resources import job_resources, memory_mb, runtime_minutes

CONFIGS = Path(__file__).parents[2] / "config"
PAPER = load_config(CONFIGS / "paper.yaml")
MINIATURE = load_config(CONFIGS / "miniature.yaml")


def first_job(config: Config, method: str, size: str):
    """The first job of a method and size."""
    jobs = grid.all_jobs(config).values()
    return next(job for job in jobs if (job.method, job.size) == (method, size))


def on(accelerator: str) -> Config:
    """The paper's configuration with every size on this accelerator."""
    content = yaml.safe_load((CONFIGS / "paper.yaml").read_text())
    content["hardware"] = {size: {"accelerator": accelerator} for size in content["sizes"]}
    return validate(Config, json.loads(json.dumps(content)), "changed")


@pytest.mark.parametrize(
    ("size", "parameters"), [("small", 76_961_152), ("xl", 2_849_757_184), ("xxl", 11_135_332_352)]
)
def test_memory_of_prompt_tuning_is_the_model_twice_and_a_base(size, parameters):
    megabytes = memory_mb(PAPER, first_job(PAPER, "prompt_tuning", size))
    assert megabytes == pytest.approx(8_000 + 8 * parameters / 1e6, rel=0.001)


def test_small_models_need_little_memory_so_that_their_jobs_run_side_by_side():
    assert memory_mb(MINIATURE, first_job(MINIATURE, "prompt_tuning", "mini-xxl")) < 2_100


def test_model_tuning_needs_memory_for_what_it_trains_too():
    """Weights, gradients, the best step and a copy: four times the float32 weights."""
    prompts = memory_mb(PAPER, first_job(PAPER, "prompt_tuning", "xl"))
    model = memory_mb(PAPER, first_job(PAPER, "model_tuning", "xl"))
    assert model - prompts == pytest.approx(16 * 2_849_757_184 / 1e6, rel=0.001)


def test_time_grows_with_the_model_between_its_bounds():
    sizes = ("small", "xl", "xxl")
    minutes = [runtime_minutes(PAPER, first_job(PAPER, "prompt_tuning", size)) for size in sizes]
    assert minutes[0] == 240 and minutes[-1] == 1440
    assert minutes[0] < minutes[1] < minutes[2]
    job = first_job(MINIATURE, "model_tuning", "mini-xxl")
    assert runtime_minutes(MINIATURE, job) == 240


def test_time_is_that_of_the_gpu_in_the_configuration():
    large = (job for job in grid.prompt_jobs(PAPER) if job.size == "large")
    job = next(job for job in large if job.tasks == ("multirc",))
    slow, fast = (runtime_minutes(on(gpu), job) for gpu in ("a100-80gb", "h100"))
    assert slow == pytest.approx(fast * 989 / 312, rel=0.01)
    assert runtime_minutes(on("v3-32"), job) == fast  # no time limit applies on a TPU


def test_accelerators_are_asked_for_where_the_configuration_names_them():
    job = first_job(PAPER, "prompt_tuning", "xxl")
    tpu = {"tpu_type": "v3-32", "tpu_chips": 16, "model_axis": 16, "token_budget": 2048}
    assert job_resources(PAPER, job).items() > tpu.items()
    none = {"tpu_type": "", "tpu_chips": 0, "model_axis": 1, "token_budget": 0}
    assert job_resources(on("h100"), job).items() > none.items()
    small = first_job(MINIATURE, "prompt_tuning", "mini-small")
    assert job_resources(MINIATURE, small).items() > none.items()
