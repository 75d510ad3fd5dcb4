"""The nearest neighbours of prompts in the vocabulary, and the tables of them."""

import numpy as np
import pandas as pd
import pytest

from promptscale.config.jobs import PromptTuningJob
from promptscale.config.settings import EvaluationSettings, Optimizer, PromptTuning
from promptscale.data.vocabulary import Vocabulary
from promptscale.errors import ResultsError
from promptscale.experiments.interpretability import (
    NEIGHBOURS,
    Space,
    controls,
    duplicates,
    run,
    summarize,
)
from promptscale.reporting.neighbours import combine, read
from tests import tiny


@pytest.fixture
def space():
    """20 random rows of width 8, of which the first three and the last five are no neighbours."""
    embedding = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    allowed = (np.arange(20) > 2) & (np.arange(20) < 15)
    return Space(embedding, allowed)


def test_a_row_of_the_embedding_is_nearest_to_itself(space):
    ids, cosines = space.nearest(space.embedding[3:15])
    np.testing.assert_array_equal(ids[:, 0], np.arange(3, 15))
    np.testing.assert_allclose(cosines[:, 0], 1, rtol=1e-6)
    assert np.all(np.diff(cosines, axis=1) <= 0)


def test_a_vectors_length_does_not_matter(space):
    vectors = np.random.default_rng(2).normal(size=(6, 8)).astype(np.float32)
    ids, cosines = space.nearest(vectors)
    scaled_ids, scaled = space.nearest(vectors * 50)
    np.testing.assert_array_equal(ids, scaled_ids)
    np.testing.assert_allclose(cosines, scaled, rtol=1e-5)


def test_special_tokens_and_unused_rows_are_no_neighbours(space):
    ids, _ = space.nearest(space.embedding)
    assert ids.min() >= 3 and ids.max() < 15


def neighbours(space, vectors):
    """The nearest row alone, twice, so that there is a pair to cohere."""
    return np.repeat(space.nearest(vectors, count=1)[0], 2, axis=1)


def test_labels_that_persist_and_labels_that_move(space):
    labels = [[4], [5, 6], [7]]
    rows = space.embedding
    summary = summarize(space, neighbours(space, rows[[4, 9, 7]]), labels)
    assert (summary["labels"], summary["labels_persisting"], summary["labels_found"]) == (3, 2, 2)
    assert summary["rows_per_label"] == 1.0 and summary["duplicates"] == 0.0
    # The second label's other piece is a neighbour of all three rows, and persists in the second.
    summary = summarize(space, neighbours(space, rows[[6, 6, 6]]), labels)
    assert (summary["labels_persisting"], summary["labels_found"]) == (1, 1)
    assert summary["rows_per_label"] == 3.0 and summary["duplicates"] == 1.0


def test_a_short_prompt_has_room_for_few_labels(space):
    summary = summarize(space, neighbours(space, space.embedding[[6]]), [[4], [5, 6], [7]])
    assert (summary["labels"], summary["labels_persisting"], summary["labels_found"]) == (1, 0, 0)
    assert np.isnan(summary["rows_per_label"])


def test_clusters_cohere_and_unrelated_rows_do_not(space):
    """Rows in tight groups of five: a member's neighbours are its group."""
    draw = np.random.default_rng(3)
    centres = np.repeat(draw.normal(size=(8, 16)), 5, axis=0)
    embedding = (centres + 0.05 * draw.normal(size=centres.shape)).astype(np.float32)
    clustered = Space(embedding, np.ones(40, bool))
    ids, _ = clustered.nearest(embedding[::5])
    assert clustered.cohesion(ids) > 0.95
    assert space.cohesion(space.nearest(space.embedding[3:15])[0]) < 0.6
    assert -1 <= controls(space, 3)["cohesion_random"] < 0.6


def test_random_prompts_share_neighbours_by_chance_alone():
    """With two rows to choose from, three tokens always share, and a single token never does."""
    space = Space(np.eye(2, dtype=np.float32), np.ones(2, bool))
    assert controls(space, 1)["duplicates_random"] == 0.0
    assert 0.5 < controls(space, 3)["duplicates_random"] <= 1.0
    assert duplicates(np.array([[7], [7], [8], [9]])) == 0.5


def test_a_missing_summary_is_named(tmp_path):
    with pytest.raises(ResultsError, match="is missing"):
        read(tmp_path / "absent.csv")


def prompt_job(size: str, seeds: tuple[int, ...]) -> PromptTuningJob:
    return PromptTuningJob(
        origin="generated", label="Miniature", size=size,
        architecture=tiny.architecture(), checkpoint="lm_4",
        tasks=("boolq",), seeds=seeds, evaluation=EvaluationSettings(),
        settings=PromptTuning(
            prompt_length=3, steps=1, batch_size=1, optimizer=Optimizer(learning_rate=0.3)
        ),
    )  # fmt: skip


def test_the_tables_have_every_prompt(tmp_path):
    """Planted rows are named by their pieces, and sizes are combined."""
    vocabulary = Vocabulary(tiny.write_vocabulary(tmp_path))
    embedding = np.random.default_rng(4).normal(size=(128, 16)).astype(np.float32)
    true, false = (vocabulary.encode(word) for word in ("True", "False"))
    planted = embedding[[false[-1], true[-1], 9]]
    for size in ("small", "large"):
        folder = tmp_path / size / "boolq"
        folder.mkdir(parents=True)
        np.save(folder / "seed_0.npy", 2 * planted)
        run(
            [(prompt_job(size, (0,)), tmp_path / size)], embedding, vocabulary,
            summary=tmp_path / f"{size}.csv", neighbours=tmp_path / f"{size}_neighbours.csv",
        )  # fmt: skip

    listed = pd.read_csv(tmp_path / "small_neighbours.csv", keep_default_na=False)
    assert set(listed["seed"]) == {0} and len(listed) == 3 * NEIGHBOURS
    nearest = listed[listed["rank"] == 1]
    assert list(nearest["id"]) == [false[-1], true[-1], 9]
    assert list(nearest["piece"]) == [vocabulary.piece(token) for token in nearest["id"]]
    assert list(nearest["cosine"]) == [1.0, 1.0, 1.0]
    assert list(nearest["label"]) == ["False", "True", ""]  # rows start as the class labels
    assert list(nearest["in_labels"])[:2] == [True, True]
    assert set(listed["prompt_length"]) == {3}

    combine([tmp_path / "small.csv", tmp_path / "large.csv"], tmp_path / "all.csv")
    summary = read(tmp_path / "all.csv")
    assert list(summary["size"]) == ["small", "large"] and set(summary["seed"]) == {0}
    assert set(summary["labels"]) == {2} and set(summary["labels_persisting"]) == {2}
    space = Space.of(embedding, vocabulary)
    ids, _ = space.nearest(planted)
    assert summary["cohesion"].tolist() == pytest.approx([space.cohesion(ids)] * 2)
