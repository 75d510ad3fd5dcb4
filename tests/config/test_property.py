"""What `check` accepts is planned, dry-run and drawn; what it refuses gets a sentence."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from promptscale.config import outputs
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.errors import ConfigError
from promptscale.planning import costs, counts
from promptscale.reporting.claims import write_claims
from promptscale.reporting.figures.registry import draw_figure
from promptscale.reporting.tables.registry import write_table
from tests.config import made_up
from tests.config.dry_run import planned
from tests.config.strategies import configurations

EXAMPLES = 200
DRY_RUNS, DRAWINGS = 25, 20  # so many of the accepted configurations
FIXED = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


def accepted(content: dict[str, Any]) -> Config | None:
    """The configuration, or None after a check of the sentences that refuse it."""
    try:
        return validate(Config, content, "here")
    except ConfigError as error:
        for line in str(error).splitlines():
            assert re.fullmatch(r"here: .+[.?]", line), line
            assert not re.search(r"pydantic|Input should|NoneType|<class|\.\.$", line), line
        return None


def drawn(config: Config, folder: Path) -> None:
    """Draws every figure and table of the configuration, and its claims, from made-up results."""
    context = made_up.context(config, folder)
    for name in outputs.tables(config):
        write_table(name, context, folder / "tables" / name)
    for name in outputs.figures(config):
        draw_figure(name, context, folder / "figures" / name)
    write_claims(context, folder / "claims")


@pytest.fixture(scope="module")
def valid() -> list[tuple[dict[str, Any], Config]]:
    """The configurations of all examples that are accepted."""
    pairs = []

    @FIXED
    @given(configurations())
    def check(content):
        if config := accepted(content):
            pairs.append((content, config))

    check()
    assert len(pairs) > EXAMPLES / 3
    return pairs


def test_what_is_accepted_can_be_planned(valid):
    for _, config in valid:
        runs = counts.run_table(config)
        assert len({row["run"] for row in runs}) == len(runs) > 0
        assert costs.estimate(config).total.accelerator_hours > 0
        assert validate(Config, json.loads(config.model_dump_json()), "again") == config


@pytest.mark.slow
def test_the_plan_is_the_dry_run(valid, tmp_path):
    for number, (content, config) in enumerate(valid[:: len(valid) // DRY_RUNS]):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert planned(content, folder) == counts.jobs(config), content


@pytest.mark.slow
def test_what_is_promised_is_drawn(valid, tmp_path):
    some = [config for _, config in valid[:: len(valid) // DRAWINGS]]
    some += [config for _, config in valid if config.prompt_tuning.sentinel][:2]
    for number, config in enumerate(some):
        folder = tmp_path / str(number)
        folder.mkdir()
        drawn(config, folder)
