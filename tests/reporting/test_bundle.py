"""Published results: the same bytes for the same tables, and nothing altered passes."""

import json

import pandas as pd
import pytest

from promptscale.errors import ResultsError
from promptscale.reporting import bundle

CONFIGURATION = json.dumps({"origin": "generated", "label": "Miniature"})


@pytest.fixture
def tables(tmp_path):
    runs = pd.DataFrame({
        "run": ["a", "a", "b"], "method": ["prompt_tuning"] * 2 + ["model_tuning"],
        "value": [1.0, 2.0, 3.0], "origin": "generated", "label": "Miniature",
    })  # fmt: skip
    runs.to_csv(tmp_path / "runs.csv", index=False)
    majority = pd.DataFrame({"task": ["boolq"], "score": [50.0]})
    majority.to_csv(tmp_path / "majority.csv", index=False)
    datasets = pd.DataFrame({"task": ["boolq", "squad"], "label": ["True", None], "count": [5, 0]})
    datasets.to_csv(tmp_path / "datasets.csv", index=False)
    return {name: tmp_path / f"{name}.csv" for name in ("runs", "majority", "datasets")}


def test_what_is_published_is_verified_and_read(tables, tmp_path):
    folder = tmp_path / "published" / "miniature"
    bundle.publish(folder, tables, CONFIGURATION)
    manifest = bundle.verify(folder)
    assert manifest.configuration == json.loads(CONFIGURATION)
    assert manifest.runs == {"model_tuning": 1, "prompt_tuning": 1}
    assert {name: table.rows for name, table in manifest.tables.items()} == {
        "runs": 3, "majority": 1, "datasets": 2,
    }  # fmt: skip
    for name, path in tables.items():
        published = pd.read_csv(bundle.table(folder, name))
        pd.testing.assert_frame_equal(published, pd.read_csv(path))


def test_publishing_again_gives_the_same_bytes_and_keeps_the_notes(tables, tmp_path):
    folder = tmp_path / "miniature"
    bundle.publish(folder, tables, CONFIGURATION)
    (folder / "README.md").write_text("notes")
    (folder / "images").mkdir()
    (folder / "images" / "photo").write_text("photo")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    bundle.publish(folder, tables, CONFIGURATION)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(before) == 6
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_tampered_table_is_named_and_refused(tables, tmp_path):
    folder = tmp_path / "miniature"
    bundle.publish(folder, tables, CONFIGURATION)
    file = folder / "runs.csv.gz"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ResultsError, match=r"runs\.csv\.gz is not the published table"):
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


@pytest.mark.parametrize("column", ["origin", "label"])
def test_neither_origins_nor_labels_are_mixed(tables, tmp_path, column):
    value = {"origin": "real", "label": "T5 1.1"}[column]
    other = json.dumps(json.loads(CONFIGURATION) | {column: value})
    with pytest.raises(ResultsError, match=rf"has results of the {column} '\w+', not of '{value}'"):
        bundle.publish(tmp_path / "other", tables, other)
    assert not (tmp_path / "other").exists()
    bundle.publish(tmp_path / "published", tables, CONFIGURATION)
    runs = pd.read_csv(tables["runs"]).assign(**{column: value})
    runs.to_csv(tables["runs"], index=False)
    with pytest.raises(ResultsError, match="labelled 'Miniature', but these are of the"):
        bundle.publish(tmp_path / "published", tables, other)


def test_a_folder_of_other_files_is_left_alone(tables, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
    with pytest.raises(ResultsError, match="holds files other than published results"):
        bundle.publish(tmp_path / "thesis", tables, CONFIGURATION)
    assert (tmp_path / "thesis" / "thesis.txt").read_text() == "years of work"


def test_no_folder_of_the_machine_is_published(tables, tmp_path):
    places = {
        "local_files": "/home/me/files",
        "substitutes": {"squad/train": "/home/me/train.json"},
    }
    configuration = json.loads(CONFIGURATION) | {"data": places, "tasks": ["glue/sst2", "rte"]}
    bundle.publish(tmp_path / "bundle", tables, json.dumps(configuration))
    published = bundle.verify(tmp_path / "bundle").configuration
    assert published == configuration | {
        "data": {"local_files": "files", "substitutes": {"squad/train": "train.json"}}
    }
