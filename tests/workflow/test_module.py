"""Another workflow uses this one as a module, as docs/module.md shows."""

import re
from pathlib import Path

import pytest
import yaml
from snakemake.exceptions import WorkflowError

from tests.config.dry_run import execute, planned

REPOSITORY = Path(__file__).parents[2]
SMALLEST = yaml.safe_load((REPOSITORY / "tests/workflow/smallest.yaml").read_text())
pytestmark = pytest.mark.slow


@pytest.fixture
def outer(tmp_path) -> Path:
    """The Snakefile of the manual, with the path of this checkout."""
    (code,) = re.findall(r"```python.*\n([^`]*)```", (REPOSITORY / "docs/module.md").read_text())
    file = tmp_path / "Snakefile"
    file.write_text(code.replace("promptscale/Snakefile", str(REPOSITORY / "Snakefile")))
    (tmp_path / "config.yaml").write_text("{}")
    return file


def test_a_module_plans_what_the_workflow_plans(outer, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    expected = {
        f"tuning_{rule}": count for rule, count in planned(SMALLEST, alone, "claims").items()
    }
    assert expected["tuning_train_prompts"] > 1
    jobs = planned({"tuning": SMALLEST}, tmp_path, "summary", outer)
    assert jobs == expected | {"summary": 1}


def test_the_file_where_the_catalogue_looks_is_the_workflow(tmp_path):
    jobs = planned(SMALLEST, tmp_path, "claims", REPOSITORY / "workflow/Snakefile")
    assert jobs["train_prompts"] > 1 and jobs["claims"] == 1


def test_two_modules_have_two_folders(outer, tmp_path):
    second = outer.read_text().split("onstart:")[0].split("module")[1]
    second = second.replace("tuning", "second").replace("promptscale:", "other:")
    second = second.replace("from promptscale", "from other")
    outer.write_text(outer.read_text() + "\n\nmodule" + second)
    content = {
        "tuning": SMALLEST,
        "second": SMALLEST | {"paths": {"results": "results/2", "figures": "figures/2"}},
    }
    jobs = planned(content, tmp_path, "second_claims", outer)
    assert jobs["second_claims"] == 1 and not [rule for rule in jobs if "tuning_" in rule]


def test_published_results_are_drawn_by_a_module(outer, tmp_path):
    content = {"tuning": {"published": str(REPOSITORY / "results/published/miniature")}}
    assert planned(content, tmp_path, "summary", outer) == {"tuning_claims": 1, "summary": 1}


def test_a_module_keeps_its_budget(outer, tmp_path):
    content = {"tuning": SMALLEST | {"budget": {"accelerator_hours": 0}}}
    with pytest.raises(WorkflowError, match=r"`budget\.accelerator_hours` is 0"):
        execute(content, tmp_path, "summary", outer, executor="local")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "line", ['prefix:\n        "a"', 'replace_prefix:\n        {"results": "a"}']
)
def test_prefixes_are_refused_with_the_way_to_do_it(outer, tmp_path, line):
    outer.write_text(outer.read_text().replace("    config:\n", f"    {line}\n    config:\n"))
    with pytest.raises(WorkflowError, match=r"set `paths\.results`"):
        planned({"tuning": SMALLEST}, tmp_path, "summary", outer)


def test_a_wrong_configuration_of_a_module_is_a_sentence(outer, tmp_path):
    with pytest.raises(WorkflowError, match="seeds"):
        planned({"tuning": SMALLEST | {"seeds": "many"}}, tmp_path, "summary", outer)
