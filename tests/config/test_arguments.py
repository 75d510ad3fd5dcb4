"""What follows `--config` and `--configfile`: typed values over the files, and sentences."""

import re

import pytest

from promptscale.config.load import load_config, overlaid, read_mapping
from promptscale.config.tasks import GENERATED_ROWS
from promptscale.data.raw.miniature.datasets import Sizes
from promptscale.data.raw.miniature.train_vocabulary import MAX_PIECES
from promptscale.errors import ConfigError
from tests.config.dry_run import REPOSITORY
from tests.workflow.test_workflow import planned, snakemake

PUBLISHED = "published=results/published/miniature"


def test_values_of_arguments_have_the_types_of_yaml():
    content = {"seeds": [0], "optimizer": {"rate": 0.3, "steps": {4: "train"}}}
    arguments = ["seeds=[1, 2]", "optimizer={steps: {4: /m, 8: train}}", "label=T5 1.1", "none="]
    assert overlaid(content, arguments) == {
        "seeds": [1, 2], "optimizer": {"rate": 0.3, "steps": {4: "/m", 8: "train"}},
        "label": "T5 1.1", "none": None,
    }  # fmt: skip
    assert content["optimizer"] == {"rate": 0.3, "steps": {4: "train"}}


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("seeds=[0", "--config seeds cannot be read: .*expected"),
        ("seeds=[010]", "--config seeds cannot be read: line 1 has the value '010'"),
        ("paths={state: a, state: b}", "has the key 'state' twice"),
    ],
)
def test_an_argument_that_cannot_be_read_is_a_sentence(argument, sentence):
    with pytest.raises(ConfigError, match=sentence):
        overlaid({}, [argument])


def test_a_mapping_may_override_the_keys_that_it_merges(tmp_path):
    path = tmp_path / "merged.yaml"
    path.write_text(
        "a: {b: &second {<<: &first {x: 1, y: 2}, x: 3}}\nc: {<<: *second, x: 5}\nd: *first\n"
    )
    assert read_mapping(path) == {
        "a": {"b": {"x": 3, "y": 2}}, "c": {"x": 5, "y": 2}, "d": {"x": 1, "y": 2},
    }  # fmt: skip


def test_the_bounds_of_generated_data_are_those_of_the_generator():
    assert Sizes().train == GENERATED_ROWS
    extra_ids = 100
    miniature = load_config(REPOSITORY / "config/miniature.yaml")
    sizes = [miniature.all_sizes[size].vocab_size for size in miniature.sizes]
    assert min(sizes) == MAX_PIECES + extra_ids


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config", "published=3"], "`published` is 3; it must be a folder"),
        (["--config", "published="], "`published` is None; it must be a folder"),
        (["--config", "published=[a]"], r"`published` is \['a'\]; it must be a folder"),
        (["--config", PUBLISHED, "label=X"], "`label` changes nothing in published results"),
        (
            ["--profile", "profiles/cached", "--configfile", "config/paper.yaml"],
            "config/paper.yaml are both given",
        ),
        (["--profile", "profiles/cached", "--config", "label=X"], "so this would train"),
        (["--profile=profiles/cached", "--config", "label=X"], "so this would train"),
        (["--config", "environment=[a]"], "it must be cpu, gpu or tpu"),
        (["--config", "seeds=[010]"], "line 1 has the value '010'"),
        (["--config", "paths={results: /dev/null}"], "'/dev/null' is a file"),
    ],
)
def test_wrong_arguments_are_a_sentence(tmp_path, arguments, sentence):
    result = snakemake(tmp_path, "--dry-run", *arguments, "--", "figures")
    printed = result.stdout + result.stderr
    assert result.returncode != 0 and "Traceback" not in printed
    assert re.search(sentence, printed), printed


@pytest.mark.slow
def test_the_example_of_the_readme_plans_a_single_size(tmp_path):
    given = ["seeds=[0]", "sizes=[mini-small]", "domain_shift={sizes: [mini-small]}"]
    given += ["ensembles={sizes: [mini-small]}", "hyperparameter_search={size: mini-small}"]
    plan = planned(tmp_path, "--config", *given, "--", "results/runs.csv")
    assert plan["train_language_model"] == 5  # of a single size
