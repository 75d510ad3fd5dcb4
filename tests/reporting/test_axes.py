"""A further ablation axis is a single declaration and a line of YAML."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from promptscale.cli import app
from promptscale.config import axes, grid, outputs
from promptscale.config.axes import Axis, Panel, describe
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.errors import ConfigError, ResultsError
from promptscale.reporting import claims, neighbours, runs_table
from promptscale.reporting.context import Context
from promptscale.reporting.figures.registry import draw_figure
from tests.config.test_config import MINIATURE, changed
from tests.reporting.conftest import made

CONTENT = changed("ablations.learning_rate", [0.1, 0.3, 1.0])


@pytest.fixture
def learning_rate(monkeypatch):
    axis = Axis.of_field("learning_rate", "optimizer.learning_rate", float, Panel("e", "Rate"))
    monkeypatch.setitem(axes.AXES, axis.name, axis)


@pytest.fixture
def config(learning_rate) -> Config:
    return validate(Config, CONTENT, "here")


def test_without_the_declaration_the_axis_is_refused():
    with pytest.raises(ConfigError, match="ablations has 'learning_rate'; known are prompt_length"):
        validate(Config, CONTENT, "here")


def test_the_grid_has_its_jobs_and_the_others_are_as_before(config):
    jobs = grid.prompt_jobs(config, "learning_rate")
    settings = {job.name.split("/")[3]: job.settings.optimizer.learning_rate for job in jobs}
    assert settings == {
        "length_20-class_label": 0.3,
        "length_20-class_label-learning_rate_0.1": 0.1,
        "length_20-class_label-learning_rate_1.0": 1.0,
    }
    before = grid.all_jobs(validate(Config, MINIATURE, "here"))
    after = grid.all_jobs(config)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 2 * len(config.sizes)
    assert "figure3e" in outputs.figures(config)


@pytest.mark.parametrize("value", [-1, "fast"])
def test_its_values_are_checked_when_the_configuration_is_loaded(learning_rate, value):
    with pytest.raises(ConfigError, match=r"learning_rate.*should be"):
        validate(Config, changed("ablations.learning_rate", [value]), "here")


def test_the_plan_shows_it(learning_rate, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(CONTENT))
    arguments = ["plan", "--config", str(path), "--json", "--runs", str(tmp_path / "plan.csv")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert json.loads(result.stdout)["trainings"]["prompt_tuning"]
    plan = pd.read_csv(tmp_path / "plan.csv")
    assert set(plan.loc[plan["method"] == "prompt_tuning", "learning_rate"]) == {0.1, 0.3, 1.0}
    assert plan.loc[plan["method"] == "model_tuning", "learning_rate"].isna().all()


def made_up(config: Config) -> pd.DataFrame:
    """Results of the jobs along the axis, and of model tuning, without any training."""
    jobs = [*grid.prompt_jobs(config, "learning_rate"), *grid.model_jobs(config)]
    rows = [
        job.description
        | {"run": job.run_name(run), "task": run.task, "eval_task": run.task, "seed": run.seed}
        for job in jobs
        if job.method != "model_tuning_multitask"
        for run in job.runs
    ]
    return pd.DataFrame(rows).assign(
        step=10, metric="score", value=50.0, selected=True, wall_seconds=1.0,
        accelerator_seconds=1.0,
    )  # fmt: skip


def test_the_results_show_it_and_the_panel_is_drawn(config, tmp_path):
    runs_table.write_runs([made_up(config)], tmp_path / "runs.csv")
    runs = runs_table.read_runs(tmp_path / "runs.csv")
    rates = dict(iter(runs.groupby("method")["learning_rate"]))
    assert set(rates["prompt_tuning"]) == {0.1, 0.3, 1.0} and rates["model_tuning"].isna().all()
    default = describe(config.default_setting)
    context = Context.of({"runs": tmp_path / "runs.csv"}, default, {})
    draw_figure("figure3e", context, tmp_path / "figure3e")
    data = pd.read_csv(tmp_path / "figure3e.csv")
    assert set(data["panel"]) == {"e"} and set(data["curve"]) == {0.1, 0.3, 1.0}
    assert set(data.loc[data["is_default"], "curve"]) == {0.3}
    draw_figure("figure3", context, tmp_path / "figure3")
    assert list(dict.fromkeys(pd.read_csv(tmp_path / "figure3.csv")["panel"])) == [*"abcde"]
    # The claims are about the paper's four choices, of which these results vary none.
    labels = pd.DataFrame(columns=list(neighbours.SCHEMA.columns))
    table = claims.evaluate(made(runs, labels, default))
    verdicts = table.set_index("claim")["verdict"]
    assert set(verdicts[verdicts.index.str.startswith("robust_to")]) == {"not run"}


def test_the_scores_command_shows_runs_that_the_axis_does_not_concern(config, tmp_path):
    """Model tuning has no value on the axis, and prompts of different values stand apart."""
    runs_table.write_runs([made_up(config)], tmp_path / "runs.csv")
    printed = CliRunner().invoke(app, ["scores", str(tmp_path / "runs.csv")]).stdout
    settings = made_up(config).groupby(["task", "method", "size", "learning_rate"], dropna=False)
    assert printed.count("50.0") == settings.ngroups
    assert "model_tuning" in printed


def test_an_older_table_has_the_defaults_value(config, tmp_path):
    runs = made_up(config)
    older = runs[runs["learning_rate"].isin([0.3]) | (runs["method"] == "model_tuning")]
    older.drop(columns="learning_rate").to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(ResultsError, match="lacks the column 'learning_rate'"):
        runs_table.read_runs(tmp_path / "runs.csv")
    runs = runs_table.read_runs(tmp_path / "runs.csv", describe(config.default_setting))
    expected = np.where(runs["method"] == "prompt_tuning", 0.3, np.nan)
    np.testing.assert_array_equal(runs["learning_rate"], expected)
