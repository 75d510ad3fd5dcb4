"""The checkpoints that a configuration trains: what continues what, and how it is named."""

from pathlib import Path

import pytest
import yaml

from promptscale.config import grid, outputs
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.errors import ConfigError

MINIATURE = yaml.safe_load(
    (Path(__file__).parents[2] / "config/miniature.yaml").read_text(encoding="utf-8")
)


def test_the_control_of_adaptation_continues_pre_training_for_as_long():
    """Its batches follow those of pre-training, and its settings are those of the adaptation."""
    content = MINIATURE | {
        "checkpoints": {
            "span_corruption": "train",
            "lm_adaptation": {300: "train"},
            "span_corruption_continued": {100: "train", 300: "train"},
        },
        "default_checkpoint": "lm_300",
        "ablations": {"pretraining_objective": ["span_corruption_continued"]},
    }
    config = validate(Config, content, "")
    first, last = "span_corruption_continued_100", "span_corruption_continued_300"
    trained = {name for _, name in outputs.trained_checkpoints(config)}
    assert trained == {"span_corruption", "lm_300", first, last}
    assert (grid.start_of(config, first), grid.start_of(config, last)) == ("span_corruption", first)
    control = grid.language_modeling_job(config, "mini-small", last)
    adaptation = grid.language_modeling_job(config, "mini-small", "lm_300")
    assert control.first_step == content["pretraining"]["steps"] + 100
    assert control.settings == adaptation.settings.model_copy(update={"steps": 200})
    jobs = grid.prompt_jobs(config, "pretraining_objective")
    described = {(job.checkpoint, job.description["objective"]) for job in jobs}
    assert described == {("lm_300", "lm_adaptation"), (last, "span_corruption_continued")}
    assert {job.description["adaptation_steps"] for job in jobs} == {0, 300}


def test_the_seeds_take_the_pre_trained_models_in_turn():
    """A replicate has a pre-training of its own; an ensemble votes on the first model."""
    content = MINIATURE | {
        "sizes": ["mini-small"],
        "seeds": [0, 1, 2],
        "pretraining_seeds": [5, 7],
        "ensembles": {"sizes": ["mini-small"], "seeds": [0, 2, 3]},
        "domain_shift": None,
        "hyperparameter_search": None,
    }
    config = validate(Config, content, "")
    of_seed = {
        (run.seed, job.pretraining_seed, job.checkpoint)
        for job in grid.prompt_jobs(config, "prompt_length")
        for run in job.runs
    }
    default = config.default_checkpoint
    second = f"{default}-pretraining_7"
    assert of_seed == {(0, 5, default), (1, 7, second), (2, 5, default)}
    (voting,) = grid.ensemble_jobs(config).values()
    assert {job.checkpoint for job in voting} == {default}
    assert {run.seed for job in voting for run in job.runs} == {0, 2, 3}

    trained = dict.fromkeys(name for _, name in outputs.trained_checkpoints(config))
    jobs = {name: grid.language_modeling_job(config, "mini-small", name) for name in trained}
    assert jobs[default].seed == 5 and jobs[second].seed == 7
    assert jobs[second].settings == jobs[default].settings
    assert grid.start_of(config, second) == f"{grid.start_of(config, default)}-pretraining_7"
    assert {name.partition("-")[0] for name in jobs} == {*config.checkpoint_names}
    described = {job.description["checkpoint"] for job in grid.prompt_jobs(config)}
    assert described <= {*config.checkpoint_names}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"pretraining_seeds": [0, 1, 2, 3], "ensembles": None},
            "pretraining_seeds has more values than seeds",
        ),
        ({"pretraining_seeds": [0, 1]}, r"ensembles\.seeds has 1, but the prompts of this seed"),
        (
            {
                "pretraining_seeds": [0, 1],
                "ensembles": None,
                "checkpoints": MINIATURE["checkpoints"] | {"span_corruption": "m/{size}"},
            },
            r"pretraining_seeds has several values, so checkpoints\.span_corruption should be",
        ),
    ],
)
def test_impossible_pre_training_seeds_are_refused(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(Config, MINIATURE | changes, "")
