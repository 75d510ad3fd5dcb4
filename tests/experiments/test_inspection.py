"""What `promptscale inspect` says about a prompt."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from promptscale import prompts
from promptscale.checkpoints.read import read_embedding
from promptscale.cli import app
from promptscale.data.vocabulary import Vocabulary
from promptscale.experiments.inspection import inspect
from promptscale.reporting.figures.prompt import draw
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, its vocabulary, and a prompt of four token embeddings of known lengths.

    Tokens 0 and 3 are a piece of False alone, token 1 one of True alone, token 2 one of neither.
    """
    folder = tmp_path_factory.mktemp("inspection")
    tiny.write_vocabulary(folder)
    tiny.write_checkpoint(folder / "t5", tiny.architecture())
    true, false = letters(folder)
    rows = read_embedding(str(folder / "t5"))[[false, true, other_piece(folder), false]]
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    prompts.save(folder / "prompt.npy", units * np.array([[1], [2], [3], [4]], np.float32))
    return folder


def letters(folder):
    vocabulary = Vocabulary(folder / "pieces.model")
    return [vocabulary.encode(word)[1] for word in ("True", "False")]  # T and F, after the space


def other_piece(folder):
    """A piece that is in neither label."""
    vocabulary = Vocabulary(folder / "pieces.model")
    taken = {token for word in ("True", "False") for token in vocabulary.encode(word)}
    return next(token for token in range(3, vocabulary.num_pieces) if token not in taken)


def inspected(folder, *words):
    return inspect(str(folder), str(folder / "t5"), folder / "pieces.model", words)


def test_norms_neighbours_and_clusters(folder):
    found = inspected(folder)
    np.testing.assert_allclose(found.norms, [1, 2, 3, 4], rtol=1e-5)
    true, false = letters(folder)
    nearest = [near[0]["id"] for near in found.neighbours]
    assert nearest == [false, true, other_piece(folder), false]
    assert [near[0]["cosine"] for near in found.neighbours] == [1, 1, 1, 1]
    piece = Vocabulary(folder / "pieces.model").piece(false)
    assert found.clusters == {piece: [0, 3]}
    assert found.summary["duplicates"] == 0.5


def test_labels_that_persist(folder):
    """The order of the words is that of the prompt tokens that started as them."""
    in_place = inspected(folder, "False", "True").summary
    assert (in_place["labels_persisting"], in_place["labels"]) == (2, 2)
    assert inspected(folder, "True", "False").summary["labels_found"] == 2


def test_json_names_labels_only_where_there_are_any(folder):
    content = json.loads(json.dumps(inspected(folder).to_json(), allow_nan=False))
    assert "labels_persisting" not in content and len(content["tokens"]) == 4
    assert content["tokens"][0]["label"] is None
    content = json.loads(json.dumps(inspected(folder, "False", "True").to_json(), allow_nan=False))
    assert content["labels_persisting"] == 2
    assert [token["label"] for token in content["tokens"]] == ["False", "True", None, None]


def test_the_figure_plots_norms_and_cosines(folder):
    found = inspected(folder)
    left, right = draw(found.norms, found.vocabulary_norm, found.neighbours).axes
    np.testing.assert_allclose(left.lines[0].get_xdata(), [1, 2, 3, 4], rtol=1e-5)
    np.testing.assert_array_equal(left.lines[0].get_ydata(), [0, 1, 2, 3])
    np.testing.assert_allclose(right.lines[1].get_xdata(), [1, 1, 1, 1], atol=1e-3)
    assert len(right.lines[0].get_xdata()) == 4 * (len(found.neighbours[0]) - 1)


def test_the_command_prints_and_plots(folder, tmp_path):
    arguments = [
        "inspect", str(folder), "--checkpoint", str(folder / "t5"),
        "--vocabulary", str(folder / "pieces.model"), "--labels", "False, True",
        "--plot", str(tmp_path / "p.png"),
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "class labels: 2 of 2" in result.output and "norms: 1 to 4" in result.output
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
