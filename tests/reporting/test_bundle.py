"""Published results: the same bytes for the same tables, and nothing altered passes."""

import json

import pandas as pd
import pytest

from promptscale.errors import ResultsError
from promptscale.reporting import bundle

CONFIGURATION = json.dumps({"world": "miniature", "sizes": ["mini-small"]})


@pytest.fixture
def tables(tmp_path):
    runs = pd.DataFrame({
        "run": ["a", "a", "b"], "method": ["prompt_tuning"] * 2 + ["model_tuning"],
        "value": [1.0, 2.0, 3.0], "world": "miniature",
    })  # fmt: skip
    runs.to_csv(tmp_path / "runs.csv", index=False)
    majority = pd.DataFrame({"task": ["boolq"], "score": [50.0]})
    majority.to_csv(tmp_path / "majority.csv", index=False)
    return {name: tmp_path / f"{name}.csv" for name in ("runs", "majority")}


def test_what_is_published_is_verified_and_read(tables, tmp_path):
    folder = tmp_path / "published" / "miniature"
    bundle.publish(folder, tables, CONFIGURATION)
    manifest = bundle.verify(folder)
    assert manifest.configuration == json.loads(CONFIGURATION)
    assert manifest.runs == {"model_tuning": 1, "prompt_tuning": 1}
    assert {name: table.rows for name, table in manifest.tables.items()} == {
        "runs": 3, "majority": 1,
    }  # fmt: skip
    for name, path in tables.items():
        published = pd.read_csv(bundle.table(folder, name))
        pd.testing.assert_frame_equal(published, pd.read_csv(path))


def test_publishing_again_gives_the_same_bytes_and_keeps_the_notes(tables, tmp_path):
    folder = tmp_path / "miniature"
    bundle.publish(folder, tables, CONFIGURATION)
    (folder / "README.md").write_text("notes")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    bundle.publish(folder, tables, CONFIGURATION)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_tampered_table_is_named_and_refused(tables, tmp_path):
    folder = tmp_path / "miniature"
    bundle.publish(folder, tables, CONFIGURATION)
    file = folder / "runs.csv.gz"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ResultsError, match=r"runs\.csv\.gz is not the one that was published"):
        bundle.verify(folder)


def test_a_missing_table_or_manifest_is_named(tables, tmp_path):
    folder = tmp_path / "miniature"
    bundle.publish(folder, tables, CONFIGURATION)
    (folder / "majority.csv.gz").unlink()
    with pytest.raises(ResultsError, match=r"majority\.csv\.gz is missing; restore it"):
        bundle.verify(folder)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(ResultsError, match="is not a manifest"):
        bundle.verify(folder)
    with pytest.raises(ResultsError, match="There are no published results in"):
        bundle.verify(tmp_path / "absent")


def test_worlds_are_never_mixed(tables, tmp_path):
    paper = json.dumps({"world": "paper"})
    with pytest.raises(ResultsError, match="has results of the world 'miniature', not of 'paper'"):
        bundle.publish(tmp_path / "paper", tables, paper)
    assert not (tmp_path / "paper").exists()
    bundle.publish(tmp_path / "own", tables, CONFIGURATION)
    runs = pd.read_csv(tables["runs"]).assign(world="paper")
    runs.to_csv(tables["runs"], index=False)
    with pytest.raises(ResultsError, match="results of two worlds are never mixed"):
        bundle.publish(tmp_path / "own", tables, paper)


def test_a_folder_of_something_else_is_left_alone(tables, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ResultsError, match="holds something that is no published results"):
        bundle.publish(tmp_path / "mine", tables, CONFIGURATION)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
