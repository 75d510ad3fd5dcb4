"""What `make real` prepares from the folder of shared files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
# Stands in for the script that unpacks the model, and counts its calls.
UNPACK = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
(folder / "config.json").write_text("{}")
with open("calls", "a") as calls:
    calls.write("x")
"""


def prepare(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, REPOSITORY / "workflow/real_input.py", "shared", "out"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path) -> Path:
    articles = [{"title": str(number), "paragraphs": []} for number in range(48)]
    for path, text in {
        "t5_small_flan/unpack.py": UNPACK,
        "squad/xquad.en.json": json.dumps({"data": articles}),
    }.items():
        file = tmp_path / "shared/data" / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return tmp_path


def titles(folder: Path, split: str) -> list[str]:
    data = json.loads((folder / f"out/squad-{split}.json").read_text())["data"]
    return [article["title"] for article in data]


def test_every_article_is_in_a_single_part(folder):
    assert prepare(folder).returncode == 0
    assert titles(folder, "train") + titles(folder, "validation") == list(map(str, range(48)))


def test_a_second_call_repeats_nothing(folder):
    for _ in range(2):
        assert prepare(folder).returncode == 0
    assert (folder / "calls").read_text() == "x"


@pytest.mark.parametrize("missing", ["t5_small_flan", "squad/xquad.en.json"])
def test_what_is_missing_is_named_before_anything_is_written(missing, folder):
    (folder / "shared/data" / missing).rename(folder / "away")
    result = prepare(folder)
    assert result.returncode == 1 and not (folder / "out").exists()
    assert result.stderr.startswith(f"shared/data/{missing} is missing; give the folder")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"data": {}}', '{"data": []}', "\xff"])
def test_questions_of_another_format_are_a_sentence_before_anything_is_written(text, folder):
    (folder / "shared/data/squad/xquad.en.json").write_bytes(text.encode("latin-1"))
    result = prepare(folder)
    assert result.returncode == 1 and not (folder / "out").exists()
    assert "xquad.en.json is not a JSON file of SQuAD v1.1" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_failure_to_unpack_the_model_is_a_sentence(folder):
    (folder / "shared/data/t5_small_flan/unpack.py").write_text("import sys; sys.exit('no room')")
    result = prepare(folder)
    assert result.returncode == 1 and "unpack.py failed" in result.stderr
    assert "no room" in result.stderr and "Traceback" not in result.stderr


def test_the_articles_of_xquad_have_the_numbers_of_questions_that_the_script_states(shared):
    articles = json.loads((shared / "data/squad/xquad.en.json").read_text())["data"]
    counts = [sum(len(part["qas"]) for part in article["paragraphs"]) for article in articles]
    assert (len(articles), sum(counts[:35]), sum(counts[35:])) == (48, 901, 289)


@pytest.mark.parametrize("name", ["real", "real_tasks", "real_gpu", "real_tasks_gpu"])
def test_substitutes_are_below_the_shared_folder_or_prepared(name, shared):
    data = yaml.safe_load((REPOSITORY / f"config/{name}.yaml").read_text())["data"]
    for path in data["substitutes"].values():
        assert path.startswith("squad-") or (shared / "data" / path).is_file()
