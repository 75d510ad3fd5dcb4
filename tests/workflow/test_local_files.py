"""Local files that the configuration names: replaced in place they are noticed, moved they are not.

A vocabulary, a checkpoint, a prompt file and the substitute of a published file go through the
workflow once; dry runs then say which jobs a change makes again.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.tiny import architecture, write_checkpoint, write_vocabulary
from tests.workflow.test_workflow import planned, snakemake

pytestmark = pytest.mark.slow
CONFIGURATION: dict[str, Any] = {
    "origin": "real",
    "label": "Local files",
    "architectures": {"tiny": vars(architecture())},
    "sizes": ["tiny"],
    "tasks": ["boolq"],
    "seeds": [0],
    "data": {
        "local_files": "files",
        "substitutes": {"boolq/train": "train.jsonl", "boolq/validation": "validation.jsonl"},
        "vocabulary": "files/pieces.model",
    },
    "checkpoints": {"span_corruption": "files/checkpoint"},
    "default_checkpoint": "span_corruption",
    "prompt_tuning": {
        "steps": 1,
        "batch_size": 2,
        "evaluate_every": 1,
        "prompt_length": 2,
        "initialization": {"method": "file", "file": "files/prompt.npy"},
        "optimizer": {"learning_rate": 0.3},
    },
}


def write_rows(path: Path, answers: list[bool]) -> None:
    rows = [
        {"question": "is a", "passage": "a b c", "idx": number, "label": answer}
        for number, answer in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def configuration(folder: Path, **data: Any) -> tuple[str, ...]:
    """Options that name a file with the configuration, some keys of its `data` replaced."""
    content = CONFIGURATION | {"data": CONFIGURATION["data"] | data}
    path = folder / f"experiment-{len(list(folder.glob('experiment-*')))}.yaml"
    path.write_text(yaml.safe_dump(content))
    return ("--configfile", str(path))


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> Path:
    """A folder in which the configuration has run to its table of runs."""
    folder = tmp_path_factory.mktemp("local")
    files = folder / "files"
    files.mkdir()
    write_vocabulary(files)
    write_checkpoint(files / "checkpoint", architecture())
    np.save(files / "prompt.npy", np.ones((2, architecture().d_model), np.float32))
    write_rows(files / "train.jsonl", [True, False])
    write_rows(files / "validation.jsonl", [True, False, True])
    result = snakemake(folder, *configuration(folder), "--", "results/runs.csv")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def finished(once, tmp_path) -> Path:
    """A copy of that folder, for a test to change."""
    return Path(shutil.copytree(once, tmp_path / "copy"))


TRAINING = {"train_prompts": 1, "collect_runs": 1}


def replace(path: Path, content: bytes) -> None:
    """Replaces a file in place by an older one, as `cp -p` and `rsync -t` do."""
    assert path.read_bytes() != content
    path.write_bytes(content)
    os.utime(path, (1e9, 1e9))


def test_a_replaced_checkpoint_is_imported_again(finished):
    write_checkpoint(finished / "other", architecture(), step=7)
    content = (finished / "other/checkpoint").read_bytes()
    replace(finished / "files/checkpoint/checkpoint", content)
    again = planned(finished, *configuration(finished), "--", "results/runs.csv")
    assert again == {"import_checkpoint": 1, **TRAINING}
    # If the import runs alone, what starts from the checkpoint is still to be run.
    pointer = "results/models/tiny/span_corruption/model.json"
    assert snakemake(finished, *configuration(finished), "--", pointer).returncode == 0
    assert planned(finished, *configuration(finished), "--", "results/runs.csv") == TRAINING


def test_a_replaced_substitute_prepares_its_split_again(finished):
    write_rows(finished / "rows", [False, False])
    replace(finished / "files/train.jsonl", (finished / "rows").read_bytes())
    again = planned(finished, *configuration(finished), "--", "results/runs.csv")
    assert again == {"prepare_task": 1, **TRAINING}


def test_a_replaced_prompt_trains_again(finished):
    np.save(finished / "prompt.npy", np.zeros((2, architecture().d_model), np.float32))
    replace(finished / "files/prompt.npy", (finished / "prompt.npy").read_bytes())
    again = planned(finished, *configuration(finished), "--", "results/runs.csv")
    assert again == TRAINING


def test_a_replaced_vocabulary_prepares_everything_again(finished):
    (finished / "other").mkdir()
    other = write_vocabulary(finished / "other", ["x", "y", "z"])
    replace(finished / "files/pieces.model", other.read_bytes())
    again = planned(finished, *configuration(finished), "--", "results/runs.csv")
    assert again == {"fetch_vocabulary": 1, "prepare_task": 2, **TRAINING}


def test_what_changes_no_content_runs_nothing(finished):
    """Files are touched and copied, and the folder of the data has another spelling."""
    for path in (finished / "files").rglob("*"):
        os.utime(path)
    shutil.copytree(finished / "files", finished / "copy of files")
    again = configuration(
        finished,
        local_files=f"{finished}/copy of files",
        vocabulary="./copy of files/../files/pieces.model",
        data_dir="elsewhere",
        download=True,
        corpus="c4/en:3.1.0",
        corpus_shards=2,
        substitutes=CONFIGURATION["data"]["substitutes"] | {"cb/train": "cb.jsonl"},
    )
    result = snakemake(finished, *again, "--dry-run", "--", "results/runs.csv")
    assert "Nothing to be done" in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("checkpoint", "/files/checkpoint: no such file or folder"),
        ("pieces.model", "There is no file files/pieces.model"),
        ("train.jsonl", "files/train.jsonl, but there is no such file"),
        ("prompt.npy", "The prompt file files/prompt.npy is missing"),
    ],
)
def test_a_missing_file_is_a_sentence_of_the_job_that_reads_it(finished, file, sentence):
    (finished / "files" / file).rename(finished / file)
    options = (*configuration(finished), "--logger", "promptscale", "--", "results/runs.csv")
    result = snakemake(finished, *options)
    assert result.returncode == 1 and sentence in result.stderr
    assert "Traceback" not in result.stderr and "Missing input" not in result.stderr
