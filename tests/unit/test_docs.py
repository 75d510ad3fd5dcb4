"""The manuals name what exists: every key of the schema, and no other."""

import re
from pathlib import Path

from pydantic import BaseModel

from promptscale.config.schema import Config

REPOSITORY = Path(__file__).parents[2]


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """All dotted keys of the configuration."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(f"{prefix}{name}")
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= keys(kind, f"{prefix}{name}.")
    return found


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
