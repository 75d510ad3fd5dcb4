"""The commands `tune`, `predict` and `evaluate`, and every command of their manual."""

import doctest
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from promptscale.cli import predict
from promptscale.data import prepared
from promptscale.data.prepared import Ragged
from tests.prompting import site
from tests.robustness.case import command

MANUAL = Path(__file__).parents[2] / "docs/your_task.md"
MODEL = ["--checkpoint", "t5_small", "--vocabulary", "spiece.model"]
# A later value of an option takes the place of an earlier one.
SMALL = [f"--{key.replace('_', '-')}={value}" for key, value in site.TINY.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model, tables, two prompts without cards, and a prepared split of SST-2."""
    folder = tmp_path_factory.mktemp("commands")
    site.write_model(folder)
    site.write_reviews(folder / "reviews.csv")
    site.write_reviews(folder / "test.csv", site.reviews(6))
    (folder / "new.csv").write_text("input\n" + "".join(f"{x}\n" for x, _ in site.reviews(5)))
    names = ["reviews", "questions", "questions", "reviews"]
    rows = [f"{x},{name}\n" for (x, _), name in zip(site.reviews(4), names, strict=True)]
    (folder / "mixed.csv").write_text("input,task\n" + "".join(rows))
    questions = [{"q": f"is{' a' * n}", "c": x, "answer": x} for n, (x, _) in
                 enumerate(site.reviews(12))]  # fmt: skip
    (folder / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    for seed, name in enumerate(("sst2", "other")):
        array = np.random.default_rng(seed).normal(size=(3, 16)).astype(np.float32)
        np.save(folder / f"{name}.npy", array)
    split = [{"id": str(n), "inputs": "x", "targets": label, "label": n % 2}
             for n, label in enumerate(["negative", "positive"] * 3)]  # fmt: skip
    ids = Ragged.pack([[3, 4, 5]] * 6)
    prepared.write(folder / "results/data/sst2/validation", ids, ids, split)
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)


def printed(capsys, *arguments: str) -> list[str]:
    capsys.readouterr()
    command(*arguments, output=True)
    return capsys.readouterr().out.splitlines()


def test_every_command_of_the_manual_runs(capsys):
    lines = re.findall(r"^ *\$ promptscale (.+)$", MANUAL.read_text(), flags=re.MULTILINE)
    assert len(lines) == 8
    for line in lines:
        arguments = shlex.split(line)
        assert printed(capsys, *arguments, *(SMALL if arguments[0] == "tune" else [])), line
    names = {path.name for path in Path("prompts/reviews").iterdir()}
    shown = set(re.findall(r"^\| `(.+?)` \|", MANUAL.read_text(), flags=re.MULTILINE))
    assert names == shown


def test_the_manual_of_the_library_is_right():
    results = doctest.testfile(str(MANUAL), module_relative=False)
    assert results.attempted == 9 and results.failed == 0


def test_a_column_chooses_the_prompt_of_a_row(capsys):
    """The answers equal those of each prompt alone to the rows that choose it."""
    prompts = ["--prompt=reviews=sst2.npy", "--prompt=questions=other.npy"]
    options = [*MODEL, "--json", "--max-output-tokens=6"]
    mixed = [
        json.loads(line) for line in printed(capsys, "predict", "mixed.csv", *prompts, *options)
    ]
    assert [row["prompt"] for row in mixed] == ["reviews", "questions", "questions", "reviews"]
    for name in ("reviews", "questions"):
        prompt = next(argument for argument in prompts if name in argument)
        alone = [
            json.loads(line) for line in printed(capsys, "predict", "mixed.csv", prompt, *options)
        ]
        expected = [row for row, line in zip(alone, mixed, strict=True) if line["prompt"] == name]
        assert [row for row in mixed if row["prompt"] == name] == expected
        assert any(row["prediction"] for row in expected)


def test_each_prompt_answers_each_row_where_none_is_chosen(capsys):
    options = ["--prompt=sst2.npy", "--prompt=other.npy", *MODEL, "--max-output-tokens=6"]
    lines = printed(capsys, "predict", "new.csv", *options)
    assert [line.split("\t")[0] for line in lines] == ["sst2", "other"] * 5


def test_lines_of_the_standard_input_are_answered(capsys, monkeypatch):
    """A line is an input, and an empty line is one, too."""
    Path("lines").write_text("a good film\n\na bad film")
    monkeypatch.setattr(predict, "_STANDARD_INPUT", Path("lines"))
    options = ["--prompt=sst2.npy", *MODEL, "--max-output-tokens=6", "--json"]
    rows = [json.loads(line) for line in printed(capsys, "predict", "-", *options)]
    assert [row["input"] for row in rows] == ["a good film", "", "a bad film"]


def test_a_prompt_is_scored_on_a_prepared_split(capsys):
    """The scores are those of the written predictions; the ids are those of the split."""
    options = ["--prompt=sst2.npy", "--task=sst2", *MODEL, "--predictions=out.jsonl", "--json"]
    (line,) = printed(capsys, "evaluate", "results/data/sst2/validation", *options)
    rows = prepared.read_rows(Path("out.jsonl"), ("targets", "prediction"))
    right = [row["prediction"] == row["targets"] for row in rows]
    assert json.loads(line) == {
        "task": "sst2", "examples": 6,
        "scores": {"accuracy": 100 * np.mean(right), "score": 100 * np.mean(right)},
    }  # fmt: skip
    assert len({row["prediction"] for row in rows}) == 1  # equal inputs
