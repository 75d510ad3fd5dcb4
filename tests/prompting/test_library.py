"""The library: what `tune`, `predict` and `evaluate` leave and answer, on a tiny model."""

import itertools

import numpy as np
import pandas as pd
import pytest

import promptscale
from promptscale.data import prepared
from promptscale.errors import CheckpointError, ConfigError
from promptscale.evaluation import metrics
from promptscale.experiments.evaluator import Evaluator
from promptscale.prompting.answering import Answerer
from promptscale.prompting.options import checked_options
from promptscale.prompting.prompt import Prompt
from promptscale.prompting.tuning import tune
from tests.prompting import site


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prompting")
    site.write_model(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder) -> "promptscale.Model":
    return promptscale.load(folder / "t5_small", folder / "spiece.model")


@pytest.fixture(scope="module")
def tuned(folder, model) -> "promptscale.Prompt":
    """The best of three prompts that were tuned together, with all files in `folder/reviews`."""
    return model.tune(site.reviews(), folder / "reviews", **site.TINY, name="reviews", seeds=3)


def some_prompts(lengths) -> list[Prompt]:
    draw = np.random.default_rng(0)
    arrays = (draw.normal(size=(length, 16)).astype(np.float32) for length in lengths)
    return [Prompt(array, f"p{n}") for n, array in enumerate(arrays)]


TEXTS = [text for text, _ in site.reviews(9)]


def test_the_architecture_is_read_from_the_checkpoint(model):
    assert model.architecture == site.MODEL


def test_a_tuning_leaves_the_best_prompt_with_its_card(folder, tuned):
    out = folder / "reviews"
    assert tuned.array.shape == (3, 16) and tuned.name == "reviews"
    card = tuned.card
    assert card.task.labels == ("negative", "positive") and card.scores.keys() == {
        "accuracy", "score",
    }  # fmt: skip
    seeds = [promptscale.load_prompt(out / f"seed_{seed}.npy") for seed in range(3)]
    assert card.scores["score"] == max(prompt.card.scores["score"] for prompt in seeds)
    np.testing.assert_array_equal(tuned.array, seeds[card.seed].array)
    assert card.train_examples + card.dev_examples == 24
    names = {path.name for path in out.iterdir()}
    prompts = {f"{stem}.{end}" for stem in ("prompt", "seed_0", "seed_1", "seed_2")
               for end in ("npy", "json")}  # fmt: skip
    assert names == prompts | {"predictions.jsonl", "dev_scores.csv"}


def test_the_score_is_that_of_the_predictions(folder, model, tuned):
    """Answering the dev inputs anew gives the predictions, and their accuracy."""
    rows = prepared.read_rows(folder / "reviews/predictions.jsonl", ("inputs", "prediction"))
    assert len(rows) == tuned.card.dev_examples
    answers = list(model.predict((row["inputs"] for row in rows), tuned))
    assert answers == [row["prediction"] for row in rows]
    right = [answer == row["targets"] for answer, row in zip(answers, rows, strict=True)]
    assert tuned.card.scores["accuracy"] == pytest.approx(100 * np.mean(right))


def test_a_finished_tuning_is_not_repeated(folder, model, tuned, monkeypatch):
    monkeypatch.setattr("promptscale.prompting.tuning.train_runs", None)
    options = site.TINY | {"name": "reviews", "seeds": 3}
    again = model.tune(site.reviews(), folder / "reviews", **options)
    assert again.card == tuned.card
    with pytest.raises(ConfigError, match="has the result of a tuning with other data, settings"):
        model.tune(site.reviews(), folder / "reviews", **options | {"steps": 8})
    with pytest.raises(ConfigError, match="has the result of a tuning with other data"):
        model.tune(site.reviews(22), folder / "reviews", **options)


def test_prompts_that_are_tuned_together_equal_prompts_alone(model, tuned, folder, tmp_path):
    """Seed 0 alone: the same scores, and the same prompt up to the order of float32 sums."""
    alone = model.tune(site.reviews(), tmp_path, **site.TINY, name="reviews")
    together = promptscale.load_prompt(folder / "reviews/seed_0.npy")
    assert alone.card.scores == together.card.scores and alone.card.step == together.card.step
    np.testing.assert_allclose(alone.array, together.array, rtol=1e-4, atol=1e-4)


def test_a_killed_tuning_goes_on(model, tuned, folder, tmp_path, monkeypatch, caplog):
    """It is killed in its second evaluation; the result equals that of an unbroken tuning."""
    calls = itertools.count()
    evaluate = Evaluator.__call__

    def killed(self, trainable):
        if next(calls) == 1:
            raise KeyboardInterrupt
        return evaluate(self, trainable)

    options = checked_options(**site.TINY, name="reviews", seeds=3)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Evaluator, "__call__", killed)
        tune(model, site.reviews(), tmp_path, options)
    assert not (tmp_path / "prompt.json").exists()
    caplog.set_level("INFO")
    again = tune(model, site.reviews(), tmp_path, options)
    assert "resuming at step 2 of 6" in caplog.text
    assert again.card == tuned.card
    for name in ("prompt.npy", "seed_0.npy", "seed_1.npy", "seed_2.npy"):
        ours, theirs = np.load(tmp_path / name), np.load(folder / "reviews" / name)
        np.testing.assert_array_equal(ours, theirs)


def test_mixed_prompts_answer_as_each_alone(model):
    """Prompts of two lengths; a row gets its prompt's answer wherever it stands."""
    several = some_prompts([3, 5, 3])
    choose = [n % 3 for n in range(9)]
    options = {"max_output_tokens": 6}
    mixed = list(model.predict(TEXTS, several, choose=choose, **options))
    for number, prompt in enumerate(several):
        alone = list(model.predict(TEXTS, prompt, **options))
        assert mixed[number::3] == alone[number::3]
    assert len({*mixed}) > 1


@pytest.mark.parametrize(
    ("choose", "sentence"),
    [
        ([0], "must have a number for each input"),
        ([0] * 20, "must have a number for each input"),
        ([2] * 9, "names the prompt 2, but there are 2, numbered from 0"),
        ([-1] * 9, "names the prompt -1"),
    ],
)
def test_each_input_needs_the_number_of_a_prompt(model, choose, sentence):
    with pytest.raises(ConfigError, match=sentence):
        list(model.predict(TEXTS[:9], some_prompts([3, 5]), choose=choose, max_output_tokens=2))


def test_a_stream_is_answered_chunk_by_chunk(model, monkeypatch):
    """Inputs are read only when their chunk is due, and longer inputs may come later."""
    monkeypatch.setattr("promptscale.prompting.answering.CHUNK", 4)
    taken = itertools.count()

    def endless():
        for number in taken:
            yield " ".join(["a"] * (1 + number))

    prompt = some_prompts([3])[0]
    answers = list(itertools.islice(model.predict(endless(), prompt, max_output_tokens=6), 9))
    assert next(taken) <= 13
    texts = [" ".join(["a"] * (1 + number)) for number in range(9)]
    assert answers == list(model.predict(texts, prompt, max_output_tokens=6))


def test_a_later_chunk_uses_the_programs_of_an_earlier_chunk(model, monkeypatch, caplog):
    """Each is announced: a program is for the lengths of the prompts, too."""
    monkeypatch.setattr("promptscale.prompting.answering.CHUNK", 18)
    caplog.set_level("INFO")
    choose, texts = [0] * 9 + [1] * 9, TEXTS * 2
    prompts = some_prompts([3, 5])
    list(model.predict(texts * 2, prompts, choose=choose * 2, max_output_tokens=2))
    announced = [text for text in caplog.messages if text.startswith("compiling: answers to")]
    assert len(announced) == 2


def test_votes_are_those_of_an_ensemble(model, monkeypatch):
    """Two of three prompts agree; the vote of different answers is the first."""
    answers = {"x": ["a", "b", "b"], "y": ["c", "d", "e"]}
    monkeypatch.setattr(model.vocabulary, "encode", lambda text: [text])

    def spoken(self, questions):
        return (answers[question.tokens[0]][question.prompt] for question in questions)

    monkeypatch.setattr(Answerer, "answers", spoken)
    several = some_prompts([3, 3, 3])
    assert list(model.predict(["x", "y"], several, votes=True)) == ["b", "c"]
    with pytest.raises(ConfigError, match="here are none"):
        model.predict(["x"], [], votes=True)


def test_prompts_of_other_labels_do_not_vote(model, tuned):
    with pytest.raises(ConfigError, match="trained for the same labels; here are reviews, p0"):
        model.predict(TEXTS, [tuned, *some_prompts([3])], votes=True)


def test_a_prompt_of_another_width_is_refused(model):
    prompt = Prompt(np.ones((3, 8), np.float32), "narrow")
    with pytest.raises(CheckpointError, match=r"narrow is .* the model.s d_model is 16"):
        model.predict(TEXTS, prompt)


def test_patience_ends_the_runs_that_wait(model, tmp_path):
    """A run whose score never changes is evaluated at step 1, and twice more."""
    options = {"steps": 30, "evaluate_every": 1, "learning_rate": 1e-30, "patience": 2}
    prompt = model.tune(site.reviews(), tmp_path, **site.TINY | options)
    lines = (tmp_path / "dev_scores.csv").read_text().splitlines()
    assert prompt.card.step == 1
    assert [line.split(",")[1] for line in lines if ",score," in line] == ["1", "2", "3"]


def test_a_prompt_learns(model, tmp_path):
    """The loss falls; a frozen model that is random need not be able to give the answer."""
    pairs = [(text, "a") for text, _ in site.reviews()]
    options = site.TINY | {"steps": 60, "evaluate_every": 20, "prompt_length": 8}
    model.tune(pairs, tmp_path, **options, answers="text")
    scores = pd.read_csv(tmp_path / "dev_scores.csv")
    losses = scores[scores["metric"] == "loss"].sort_values("step")["value"].tolist()
    assert losses[2] < 0.85 * losses[0]


def test_a_tuned_model_is_a_checkpoint(folder, model, tmp_path):
    options = checked_options(**site.TINY, method="model", learning_rate=0.01)
    card = tune(model, site.reviews(), tmp_path, options).card
    assert card.method == "model_tuning"
    trained = promptscale.load(tmp_path / "model", folder / "spiece.model")
    assert trained.card == card
    rows = prepared.read_rows(tmp_path / "predictions.jsonl", ("inputs", "prediction"))
    predictions = [row["prediction"] for row in rows]
    assert list(trained.predict(row["inputs"] for row in rows)) == predictions
    labels = [{"label": card.task.labels.index(row["targets"])} for row in rows]
    assert metrics.score(card.task, predictions, labels) == pytest.approx(card.scores)
