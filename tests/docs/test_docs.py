"""The manuals name what exists: every key of the schema, and no other."""

import re
from pathlib import Path

from pydantic import BaseModel

from promptscale.config.axes import AXES, describe
from promptscale.config.load import load_config
from promptscale.config.schema import Config
from promptscale.reporting import bundle, claims, neighbours
from promptscale.reporting.runs_table import read_runs

REPOSITORY = Path(__file__).parents[2]


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """All dotted keys of the configuration."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(f"{prefix}{name}")
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= keys(kind, f"{prefix}{name}.")
    return found | ({f"ablations.{axis}" for axis in AXES} if model is Config else set())


def test_the_manual_of_the_configuration_has_every_key():
    manual = (REPOSITORY / "config/README.md").read_text()
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]*)`", manual))))
    missing = {key for key in keys(Config) if key.split(".")[-1] not in named}
    assert not missing


def test_the_deviations_name_keys_that_exist():
    text = (REPOSITORY / "docs/deviations.md").read_text()
    named = set(re.findall(r"`((?:prompt_tuning|model_tuning|lm_adaptation|evaluation|checkpoints|"
                           r"ablations)\.[a-z_.]+)`", text))  # fmt: skip
    assert len(named) > 8
    assert named <= keys(Config)


def test_the_readme_shows_the_verdicts_on_the_published_results():
    """Its table of claims is what the tests say of the committed results, neither more nor less."""
    folder = REPOSITORY / "results/published/miniature"
    config = Config.model_validate(bundle.verify(folder).configuration)
    found = claims.evaluate(
        read_runs(Path(bundle.table(folder, "runs"))),
        neighbours.read(Path(bundle.table(folder, "interpretability"))),
        describe(config.default_setting),
    )
    table = (
        (REPOSITORY / "README.md").read_text().split("## The paper's claims")[1].split("\n## ")[0]
    )
    shown = re.findall(r"^\| (.+?) \| .* \| \*\*(.+)\*\* \|$", table, flags=re.MULTILINE)
    assert shown == list(zip(found["statement"], found["verdict"], strict=True))


def test_the_published_results_are_of_the_shipped_configuration():
    published = bundle.verify(REPOSITORY / "results/published/miniature").configuration
    shipped = load_config(REPOSITORY / "config/miniature.yaml")
    assert Config.model_validate(published) == shipped
