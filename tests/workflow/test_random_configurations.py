"""Random configurations run whole, with trainings of a step: to figures, tables and claims.

PROMPTSCALE_CHAOS_CONFIGURATIONS says how many; `make chaos` runs thirty, `make test` none.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from promptscale.config import outputs
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.errors import ConfigError
from promptscale.planning.counts import run_table
from promptscale.reporting.runs_table import read_runs
from tests.config.strategies import configurations

REPOSITORY = Path(__file__).parents[2]
COUNT = int(os.environ.get("PROMPTSCALE_CHAOS_CONFIGURATIONS", "0"))
LARGEST = 25  # runs of a configuration, so that it ends after minutes


@functools.cache
def small_configurations(count: int) -> list[tuple[dict[str, Any], Config]]:
    """The first `count` valid configurations of few runs and several methods."""
    small: list[tuple[dict[str, Any], Config]] = []

    @settings(
        max_examples=100 + 50 * count, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(configurations())
    def collect(content):
        if len(small) == count:
            return
        content = one_step(content)
        try:
            config = validate(Config, content, "drawn")
        except ConfigError:
            return
        runs = run_table(config)
        several = len({row["method"] for row in runs}) > 1
        if several and len(runs) <= LARGEST and content not in [other for other, _ in small]:
            small.append((content, config))

    collect()
    assert len(small) == count
    return small


def one_step(content: dict[str, Any]) -> dict[str, Any]:
    """The configuration with a step in each training and all runs of a setting in a job."""
    sections = ("pretraining", "prompt_tuning", "model_tuning", "multitask_tuning")
    changed = {name: content[name] | {"steps": 1} for name in sections if content.get(name)}
    together = {"prompt_tuning": 24, "model_tuning": 24}
    return content | changed | {"runs_per_job": together, "budget": {"accelerator_hours": 100}}


@pytest.fixture(scope="module")
def shared_data(tmp_path_factory) -> Path:
    """A folder for the generated data and their prepared splits, which all configurations share."""
    return tmp_path_factory.mktemp("data")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(COUNT))
def test_a_random_configuration_runs_to_its_end(number, tmp_path, shared_data):
    content, config = small_configurations(COUNT)[number]
    results, figures = (tmp_path / path for path in (config.paths.results, config.paths.figures))
    shutil.copytree(shared_data, results, copy_function=os.link)
    file = tmp_path / "configuration.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--directory", tmp_path, "--cores", str(os.cpu_count()), "--quiet"]
    result = subprocess.run(
        [*command, "--configfile", file, "--", "all"],
        capture_output=True, text=True, cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert result.returncode == 0, f"{content}\n{result.stderr[-5000:]}"
    runs = read_runs(results / "runs.csv")
    tuned = runs[runs["method"] != "prompt_ensemble"]
    assert set(tuned["run"]) == {row["run"] for row in run_table(config)}
    assert {path.stem for path in figures.glob("*.pdf")} == set(outputs.figures(config))
    assert {path.stem for path in (results / "tables").glob("*.md")} == set(outputs.tables(config))
    assert (results / "claims.md").stat().st_size > 0
    for name in ("raw", "vocabulary", "data"):
        shutil.copytree(
            results / name, shared_data / name, copy_function=_link_once, dirs_exist_ok=True
        )


def _link_once(source: str, target: str) -> None:
    if not Path(target).exists():
        os.link(source, target)
