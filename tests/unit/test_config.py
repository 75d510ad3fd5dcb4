"""The configuration: shipped files load, faults are named, jobs follow."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from promptscale import results
from promptscale.cli import app
from promptscale.config.grid import tuning_jobs
from promptscale.config.load import load_config, validate
from promptscale.config.schema import Config
from promptscale.config.sizes import ModelConfig, parameter_counts
from promptscale.errors import ConfigError

FILES = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
MINIATURE = yaml.safe_load((Path(__file__).parents[2] / "config/miniature.yaml").read_text())


def changed(path: str, value) -> dict:
    """The miniature's configuration with the value at a dotted path replaced."""
    content = json.loads(json.dumps(MINIATURE))
    *parents, last = path.split(".")
    place = content
    for key in parents:
        place = place[key]
    place[last] = value
    return content


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid(path):
    assert tuning_jobs(load_config(path))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("taks", ["boolq"], "there is no key 'taks'; did you mean 'tasks'?"),
        ("prompt_tuning.prompt_lenght", 5, "did you mean 'prompt_length'?"),
        ("prompt_tuning.optimizer.momentum", 1, "there is no key 'prompt_tuning.optimizer.mom"),
        ("prompt_tuning.prompt_length", -1, "prompt_tuning.prompt_length is -1; it should be"),
        ("prompt_tuning.optimizer.learning_rate", "fast", "learning_rate is 'fast'; it should be"),
        ("prompt_tuning.optimizer.learning_rate", float("nan"), "should be a finite number"),
        ("prompt_tuning.initialization", {"method": "file"}, "method 'file' needs the key 'file'"),
        ("prompt_tuning.initialization", {"uniform_range": [1, 0]}, "low below high"),
        ("sizes", ["gigantic"], "sizes has 'gigantic'; known are small"),
        ("tasks", ["boolq", "sst2"], "tasks has 'sst2'; known are boolq"),
        ("seeds", [1, 1], "seeds has a value twice"),
        ("default_checkpoint", "lm_7", "default_checkpoint has 'lm_7'; known are span_corruption"),
        ("data", {"generated": False}, "data.vocabulary is needed"),
        ("pretraining", None, "pretraining is needed"),
        ("world", "mars", "world is 'mars'; it should be 'miniature', 'real' or 'paper'"),
    ],
)
def test_each_fault_is_one_sentence_that_names_the_key(path, value, sentence):
    with pytest.raises(ConfigError) as error:
        validate(Config, changed(path, value), "here")
    (line,) = str(error.value).splitlines()
    assert line.startswith("here: ") and sentence in line


def test_all_faults_are_named_at_once():
    content = changed("prompt_tuning.steps", 0) | {"colour": "red"}
    with pytest.raises(ConfigError) as error:
        validate(Config, content, "here")
    assert len(str(error.value).splitlines()) == 2


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.yaml cannot be read"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1, 2")
    with pytest.raises(ConfigError, match=r"broken.yaml is not valid YAML"):
        load_config(tmp_path / "broken.yaml")


def test_an_impossible_architecture_is_refused():
    with pytest.raises(ConfigError, match="num_heads is 0; it must be a positive whole number"):
        ModelConfig(d_model=4, d_ff=8, num_encoder_layers=1, num_decoder_layers=1, num_heads=0)


def test_jobs_are_the_default_and_one_axis_at_a_time():
    config = validate(Config, MINIATURE, "miniature")
    jobs = [job for job in tuning_jobs(config) if job.method == "prompt_tuning"]
    default = config.prompt_tuning
    assert len(jobs) == len(config.sizes) * len(config.tasks) * (
        1 + len(config.ablations.prompt_length)
    )
    for job in jobs:
        differing = job.settings.model_copy(update={"prompt_length": default.prompt_length})
        assert differing == default and job.base == config.default_checkpoint


def test_a_value_equal_to_the_default_adds_no_job():
    content = changed("ablations.prompt_length", [MINIATURE["prompt_tuning"]["prompt_length"]])
    config = validate(Config, content, "miniature")
    assert len({job.name for job in tuning_jobs(config)}) == len(tuning_jobs(config))
    prompts = [job for job in tuning_jobs(config) if job.method == "prompt_tuning"]
    assert len(prompts) == len(config.sizes) * len(config.tasks)


def test_a_changed_setting_changes_only_the_jobs_that_use_it():
    before = {
        job.name: job.model_dump_json() for job in tuning_jobs(validate(Config, MINIATURE, ""))
    }
    content = changed("model_tuning.steps", 7)
    after = {job.name: job.model_dump_json() for job in tuning_jobs(validate(Config, content, ""))}
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {name for name in before if name.startswith("model_tuning/")}


def test_the_parameters_command_prints_table_4():
    runner = CliRunner()
    arguments = ["parameters", "--size", "xxl", "--prompt-length", "50", "--json"]
    printed = json.loads(runner.invoke(app, arguments).stdout)
    assert printed == parameter_counts("xxl", 50)
    assert printed["trainable"] == 204_800 and printed["total"] == 11_135_537_152
    assert round(printed["percent"], 5) == 0.00184


def test_the_scores_command_prints_mean_and_spread_over_seeds(tmp_path):
    row = {
        "method": "prompt_tuning", "size": "mini-xl", "task": "boolq", "eval_task": "boolq",
        "checkpoint": "lm_7", "objective": "lm_adaptation", "adaptation_steps": 7,
        "prompt_length": 5, "initialization": "class_label", "step": 10, "metric": "score",
        "selected": True, "wall_seconds": 1.0, "accelerator_seconds": 1.0, "world": "miniature",
    }  # fmt: skip
    values = [60.0, 70.0, 80.0]
    rows = [row | {"run": f"r{seed}", "seed": seed, "value": v} for seed, v in enumerate(values)]
    pd.DataFrame(rows)[list(results.COLUMNS)].to_csv(tmp_path / "runs.csv", index=False)
    printed = CliRunner().invoke(app, ["scores", str(tmp_path / "runs.csv")]).stdout
    assert printed.splitlines()[1].split()[-3:] == ["70.0", "10.0", "3"]
    assert "not the paper's results" in printed


def test_commands_end_with_a_sentence_not_a_traceback():
    result = CliRunner().invoke(app, ["parameters", "--size", "huge"])
    assert result.exit_code != 0
    assert str(result.exception).startswith("promptscale: There is no size 'huge'")
