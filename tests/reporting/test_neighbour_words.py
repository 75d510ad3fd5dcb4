"""The words of a task's prompts: what counts as a word, and which words are a task's."""

import numpy as np
import pandas as pd
import pytest

from promptscale.reporting import neighbour_words
from promptscale.reporting.tables import domain_words
from tests.reporting.conftest import MINIATURE, made


def listed(task: str, pieces: list[list[str]], **columns) -> pd.DataFrame:
    """The neighbours of a prompt's tokens: a list of pieces for each token."""
    rows = [
        {"size": "mini-xxl", "task": task, "initialization": "class_label", "prompt_length": 20,
         "seed": 0, "row": row, "piece": piece, "in_labels": False} | columns
        for row, token in enumerate(pieces) for piece in token
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_token_counts_once_for_all_forms_of_a_word():
    forms = [["▁Science", "▁science", "science"], ["▁science", "▁100", "."]]
    frame = pd.concat([listed("boolq", forms), listed("boolq", [["▁science"]], seed=1)])
    counted = neighbour_words.counts(frame)
    assert counted[["word", "tokens"]].to_numpy().tolist() == [["science", 3]]


def test_the_words_of_the_labels_are_left_out():
    frame = pd.concat([
        listed("boolq", [["▁true", "▁cat"]]),
        listed("boolq", [["▁True"]], in_labels=True, seed=1),
        listed("rte", [["▁true"]]),
    ])  # fmt: skip
    frame["in_labels"] |= (frame["task"] == "boolq") & (frame["piece"] == "▁true")
    counted = neighbour_words.counts(frame).set_index(["task", "word"])["tokens"]
    assert dict(counted) == {("boolq", "cat"): 1, ("rte", "true"): 1}


def counted(task_words: dict[str, dict[str, int]]) -> pd.DataFrame:
    return pd.DataFrame([
        {"size": "mini-xxl", "task": task, "word": word, "tokens": tokens}
        for task, words in task_words.items() for word, tokens in words.items()
    ])  # fmt: skip


def test_log_odds_are_those_of_the_formula():
    """Two tasks of 30 and 20 tokens; the prior has half of each word's tokens."""
    words = neighbour_words.log_odds(
        counted({"boolq": {"science": 20, "the": 10}, "rte": {"science": 5, "the": 15}})
    ).set_index(["task", "word"])
    inside = np.log((20 + 12.5) / (30 + 25 - 20 - 12.5))
    outside = np.log((5 + 12.5) / (20 + 25 - 5 - 12.5))
    deviation = np.sqrt(1 / 32.5 + 1 / 17.5)
    row = words.loc[("boolq", "science")]
    assert row["log_odds"] == pytest.approx(inside - outside)
    assert row["z"] == pytest.approx((inside - outside) / deviation)
    assert row["tokens_elsewhere"] == 5
    assert words.loc[("rte", "science"), "z"] == pytest.approx(-row["z"])


def test_a_word_of_all_tasks_is_no_tasks_and_a_frequent_word_beats_a_rare_word():
    words = neighbour_words.log_odds(
        counted({
            "boolq": {"the": 50, "science": 20, "once": 1},
            "rte": {"the": 50, "other": 21},
        })
    ).set_index(["task", "word"])["z"]  # fmt: skip
    boolq = words["boolq"]
    assert abs(boolq["the"]) < 0.1
    assert boolq["science"] > boolq["once"] > 0


def test_the_table_has_the_foremost_words_and_the_papers(tmp_path):
    """Planted words come out on top, also where they stand behind many others in the files."""
    tokens = [[f"▁w{index}"] for index in range(20)]
    frames = [
        listed("boolq", [*tokens, *[["▁Science", "▁technology"]] * 12]),
        listed("rte", [*tokens, *[["▁entail"]] * 12, ["▁science"]]),
    ]
    files = []
    for number, frame in enumerate(frames):
        files.append(tmp_path / f"{number}.csv")
        frame.to_csv(files[-1], index=False)
    summary = pd.DataFrame([MINIATURE._asdict()])
    neighbour_words.combine(files, summary, tmp_path / "domain_words.csv")
    table = domain_words.build(made(tables={"domain_words": tmp_path / "domain_words.csv"}))
    boolq, rte = table.records
    assert boolq["Words"] == ("technology (12, 0), science (12, 1)")
    assert rte["Words"] == "entail (12, 0)"
    assert rte["science"] == f"{-float(boolq['science'].split(' ')[0]):+.1f} (1, 12)"
    assert boolq["engineering"] is None
    assert "not the paper's results" in table.title


def test_a_size_may_be_named_like_a_number(tmp_path):
    files = [tmp_path / "boolq.csv", tmp_path / "rte.csv"]
    for file in files:
        listed(file.stem, [["▁a"], ["▁b"]]).assign(size="007").to_csv(file, index=False)
    table = tmp_path / "domain_words.csv"
    neighbour_words.combine(files, pd.DataFrame([MINIATURE._asdict()]), table)
    assert set(neighbour_words.read(table)["size"]) == {"007"}
