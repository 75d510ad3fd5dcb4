"""The manuals name what exists: every key of the schema, and no other."""

import re
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from promptscale.config.axes import AXES, describe
from promptscale.config.load import load_config
from promptscale.config.schema import Config
from promptscale.reporting import bundle, claims
from promptscale.reporting.context import Context
from tests.robustness import test_bad_inputs

REPOSITORY = Path(__file__).parents[2]


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """All dotted keys of the configuration."""
    names = set()
    for name, field in model.model_fields.items():
        names.add(f"{prefix}{name}")
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                names |= keys(kind, f"{prefix}{name}.")
    return names | ({f"ablations.{axis}" for axis in AXES} if model is Config else set())


ALL = keys(Config)


def code(text: str) -> list[str]:
    """The contents of a text's code spans."""
    return re.findall(r"`([^`]*)`", text)


def test_the_manual_of_the_configuration_has_every_key_in_its_section():
    """A section begins with a line in bold, which names its keys of the first level."""
    manual = (REPOSITORY / "config/README.md").read_text()
    sections = re.split(r"^(?=\*\*)", manual, flags=re.MULTILINE)
    named = [set(re.findall(r"[a-z_]+", " ".join(code(section)))) for section in sections]
    missing = {key for key in ALL if not any(set(ends(key)) <= words for words in named)}
    assert not missing


def ends(key: str) -> tuple[str, str]:
    """The first and the last part of a dotted key."""
    parts = key.split(".")
    return parts[0], parts[-1]


def test_the_manual_of_the_configuration_has_no_other_key():
    """The first column of the tables of keys names keys, or ends of them."""
    manual = (REPOSITORY / "config/README.md").read_text()
    tables = re.findall(r"^\| key \|.*\n(?:\|.*\n)+", manual, flags=re.MULTILINE)
    named = {name for table in tables for row in table.splitlines()[2:]
             for name in code(row.split("|")[1])}  # fmt: skip
    assert len(named) > 40
    assert not {name for name in named if not any(f".{key}".endswith(f".{name}") for key in ALL)}


def test_the_deviations_name_keys_that_exist():
    text = (REPOSITORY / "docs/deviations.md").read_text()
    dotted = {span for span in code(text) if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", span)}
    named = {span for span in dotted if span.split(".")[0] in Config.model_fields}
    assert len(named) > 8
    assert named <= ALL


def test_the_readme_shows_the_verdicts_on_the_published_results():
    """The README's table of claims equals the verdicts on the committed results."""
    folder = REPOSITORY / "results/published/miniature"
    config = Config.model_validate(bundle.verify(folder).configuration)
    tables = {name: bundle.table(folder, name) for name in ("runs", "interpretability", "majority")}
    evaluated = claims.evaluate(Context.of(tables, describe(config.default_setting), {}))
    table = (
        (REPOSITORY / "README.md").read_text().split("## The paper's claims")[1].split("\n## ")[0]
    )
    shown = re.findall(r"^\| (.+?) \| .* \| \*\*(.+)\*\* \|$", table, flags=re.MULTILINE)
    assert shown == list(zip(evaluated["statement"], evaluated["verdict"], strict=True))


def test_the_published_results_are_of_the_shipped_configuration():
    published = bundle.verify(REPOSITORY / "results/published/miniature").configuration
    shipped = load_config(REPOSITORY / "config/miniature.yaml")
    assert Config.model_validate(published) == shipped


def test_the_manual_of_the_event_file_has_every_event_and_no_other():
    """Events are logged by `event("name", ...)`, or recorded by the event file itself."""
    text = (REPOSITORY / "docs/progress.md").read_text()
    sources = [path.read_text() for path in (REPOSITORY / "src/promptscale").rglob("*.py")]
    logged = re.findall(r'(?:\bevent|\.record)\(\s*"(\w+)"', "\n".join(sources))
    assert set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) == set(logged)


def test_the_tests_that_hold_a_promise_exist():
    """docs/robustness.md names a test file in each row, and there are many bad inputs."""
    text = (REPOSITORY / "docs/robustness.md").read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| [a-z]", line)]
    assert len(rows) > 50
    for row in rows:
        files = re.findall(r"`([a-z_0-9/]+\.py)`", row.rsplit("|", 2)[1])
        assert files and all((REPOSITORY / "tests" / file).is_file() for file in files), row
    assert len(test_bad_inputs.CASES) >= 100
