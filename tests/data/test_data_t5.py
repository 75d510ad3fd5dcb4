"""Our text, metrics and objectives equal the T5 library's."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import seqio
import sklearn.metrics
import t5.data.mixtures  # noqa: F401  registers the library's mixtures
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from t5.data import preprocessors

from promptscale.config.tasks import SUPER_GLUE, TASKS
from promptscale.data.objectives import (
    PrefixLM,
    SpanCorruption,
    hide,
    noise_mask,
    span_lengths,
)
from promptscale.data.prepared import Ragged
from promptscale.data.raw.t5_text import to_text
from promptscale.data.vocabulary import Vocabulary
from promptscale.evaluation import metrics

METRIC_NAMES = {"mean_3class_f1": "f1_macro", "exact_match": "em"}
ILLEGAL = ["", " ", "true", "<extra_id_0> True", "entailment.", "duplicate equivalent"]
PHRASES = ["a", "the", "fox", "red", "Fox's", "Ann's", "", "bunny", "it", "his", "RED", "an", "4"]


def library_scores(name: str, predictions: list[str], rows: list[dict]) -> dict[str, float]:
    """The scores of the T5 library's task: its postprocessor, then its metrics."""
    library = seqio.TaskRegistry.get(
        TASKS[name].seqio_eval or TASKS[name].seqio or "squad_v010_allanswers"
    )
    targets, predicted = [], []
    for prediction, row in zip(predictions, rows, strict=True):
        example = {
            "targets_pretokenized": row.get("targets"),
            "label": row.get("label"),
            "answers": row.get("answers"),
        }
        if "group" in row:
            example["idx/passage"], _, example["idx/query"] = row["group"].partition("-")
            example["idx/question"] = row["group"]
        post = library.postprocessor
        targets.append(post(row.get("targets"), example=example, is_target=True))
        predicted.append(post(prediction, example=example, is_target=False))
    scores: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, about classes without examples
        for metric in library.metric_fns:
            scores |= metric(targets=targets, predictions=predicted)
    named = {METRIC_NAMES.get(metric, metric): value for metric, value in scores.items()}
    if name == "multirc":
        named["f1a"] = named.pop("f1")
    return named


phrase = st.lists(st.sampled_from(PHRASES), max_size=4).map(" ".join) | st.text(max_size=8)
group = st.sampled_from(["0-0", "0-1", "1-0"])


@st.composite
def scored(draw: st.DrawFn, name: str) -> tuple[list[str], list[dict]]:
    """Rows of a task, and predictions that are right, wrong or illegal."""
    task, predictions, rows = TASKS[name], [], []
    for _ in range(draw(st.integers(1, 8))):
        if task.labels:
            label = draw(st.integers(0, len(task.labels) - 1))
            row: dict[str, Any] = {"label": label, "targets": task.labels[label]}
            prediction = draw(st.sampled_from([*task.labels, *ILLEGAL]))
        elif task.kind == "wsc":
            row = {"label": draw(st.integers(0, 1)), "targets": draw(phrase)}
            prediction = draw(phrase)
        else:
            answers = draw(st.lists(phrase, min_size=1, max_size=3))
            row = {"answers": answers, "targets": answers[0]}
            prediction = draw(phrase | st.sampled_from(answers))
        if task.kind in ("multirc", "record"):
            row["group"] = draw(group)
        predictions.append(prediction)
        rows.append(row)
    return predictions, rows


@pytest.mark.parametrize("name", [name for name in TASKS if name != "dpr"])
def test_metrics_equal_the_library(name: str) -> None:
    @settings(deadline=None, max_examples=100)
    @given(scored(name))
    def check(case: tuple[list[str], list[dict]]) -> None:
        scores = metrics.score(TASKS[name], *case)
        expected = library_scores(name, *case)
        assert {key: scores[key] for key in expected} == pytest.approx(expected)
        assert set(scores) == {*expected, "score"}

    check()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2)), min_size=1, max_size=30))
def test_metrics_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    for name in ("cb", "mrpc", "rte"):
        task = TASKS[name]
        valid_pairs = [(t, p) for t, p in pairs if max(t, p) < len(task.labels)]
        if not valid_pairs:
            continue
        labels, classes = map(np.array, zip(*valid_pairs, strict=True))
        predictions = [task.labels[p] if p >= 0 else "no such label" for p in classes]
        scores = metrics.score(task, predictions, [{"label": int(t)} for t in labels])
        accuracy = 100 * sklearn.metrics.accuracy_score(labels, classes)
        assert scores["accuracy"] == pytest.approx(accuracy)
        if name == "cb":
            f1 = sklearn.metrics.f1_score(
                labels, classes, labels=[0, 1, 2], average="macro", zero_division=0
            )
            assert scores["f1_macro"] == pytest.approx(100 * f1)
        if name == "mrpc":
            valid = np.where(classes < 0, 1 - labels, classes)
            f1 = sklearn.metrics.f1_score(labels, valid, zero_division=0)
            assert scores["f1"] == pytest.approx(100 * f1)


def test_the_multi_task_mixture_has_the_librarys_tasks() -> None:
    """Our mixture is SuperGLUE's eight tasks and DPR; test_data_real.py tests the rates."""
    mixture = seqio.MixtureRegistry.get("super_glue_v102_proportional")
    library = {task.name for task in mixture.tasks if mixture.get_rate(task)}
    assert library == {TASKS[name].seqio for name in (*SUPER_GLUE, "dpr")}


def test_labels_and_metrics_are_the_library_tasks() -> None:
    for task in TASKS.values():
        if task.kind in ("classification", "multirc"):
            library = seqio.TaskRegistry.get(task.seqio)
            classes = getattr(library.postprocessor, "keywords", {}).get("label_classes")
            assert classes is None or tuple(classes) == task.labels
        for name in filter(None, (task.seqio, task.seqio_eval)):
            tfds_name = seqio.TaskRegistry.get(name).source.tfds_dataset.name
            assert tfds_name == task.tfds


def tokens_dataset(documents: list[list[int]]) -> tf.data.Dataset:
    return tf.data.Dataset.from_generator(
        lambda: ({"targets": document} for document in documents),
        output_signature={"targets": tf.TensorSpec([None], tf.int32)},
    )


def random_documents() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(3, 300, rng.integers(0, 200)).tolist() for _ in range(300)]


def all_segments(stream: SpanCorruption | PrefixLM) -> list[list[int]]:
    segments = stream.segments(np.arange(stream.num_segments))
    return [tokens.tolist() for tokens in stream.read(segments)]


def test_segments_equal_the_library() -> None:
    documents = random_documents()
    tokens, _ = span_lengths(64)
    merged = preprocessors.reduce_concat_tokens(tokens_dataset(documents), batch_size=128)
    expected = preprocessors.split_tokens(merged, max_tokens_per_segment=tokens)
    corruption = SpanCorruption(
        [Ragged.pack(documents)], vocabulary_size=400, inputs_length=64, seed=0, batch_size=1
    )
    assert all_segments(corruption) == [
        example["targets"].tolist() for example in expected.as_numpy_iterator()
    ]
    expected = preprocessors.split_tokens(tokens_dataset(documents), max_tokens_per_segment=63)
    prefix = PrefixLM([Ragged.pack(documents)], inputs_length=64, seed=0, batch_size=1)
    assert all_segments(prefix) == [
        example["targets"].tolist() for example in expected.as_numpy_iterator()
    ]


def test_span_lengths_equal_the_library() -> None:
    for inputs_length in [*range(8, 130), 256, 512, 1024]:
        expected = preprocessors.random_spans_helper(
            inputs_length=inputs_length,
            noise_density=0.15,
            mean_noise_span_length=3.0,
            extra_tokens_per_span_inputs=1,
            extra_tokens_per_span_targets=1,
        )
        assert span_lengths(inputs_length) == expected


class FakeVocabulary:
    vocab_size = 400


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=30), min_size=1, max_size=4))
def test_sentinels_equal_the_library(masks: list[list[bool]]) -> None:
    tokens = [np.arange(3, 3 + len(mask), dtype=np.int32) for mask in masks]
    rows = np.repeat(np.arange(len(masks)), [len(mask) for mask in masks])
    flat = np.concatenate([np.array(mask) for mask in masks])
    corrupted, corrupted_rows = hide(np.concatenate(tokens), rows, flat, 399)
    for row, mask in enumerate(masks):
        expected = preprocessors.noise_span_to_unique_sentinel(
            tf.constant(tokens[row]), tf.constant(mask), FakeVocabulary, seeds=None
        )
        assert corrupted[corrupted_rows == row].tolist() == expected.numpy().tolist()


def test_noise_is_distributed_as_the_library_s() -> None:
    mask_of = tf.function(
        lambda length, seed: preprocessors.random_spans_noise_mask(
            length, 0.15, tf.stack([seed, seed + 1]), 3.0
        ),
        input_signature=[tf.TensorSpec([], tf.int32), tf.TensorSpec([2], tf.int32)],
    )

    def spans(mask: np.ndarray) -> int:
        return int(np.sum(np.diff(mask.astype(int), prepend=0) == 1))

    rng = np.random.default_rng(0)
    for length in [1, 2, 3, 7, 10, 16, 23, 30, 50, 70, 130, 317, 568]:
        library = mask_of(length, tf.constant([1, 2])).numpy()
        ours = noise_mask(np.array([length]), rng)
        assert (len(ours), ours.sum(), spans(ours)) == (length, library.sum(), spans(library))
    draws = [mask_of(70, tf.constant([i, 3 * i + 1])).numpy() for i in range(1000)]
    ours = noise_mask(np.full(4000, 70), rng).reshape(4000, 70).mean(axis=0)
    # Standard errors: at most 0.016 and 0.008 for each of the 70 shares.
    assert np.abs(np.mean(draws, axis=0) - ours).max() < 0.08
    assert np.mean(draws, axis=0).mean() == pytest.approx(ours.mean())


def test_split_points_have_the_library_s_range() -> None:
    for length in (1, 2, 3, 6):
        library = {
            int(np.sum(preprocessors.random_prefix_noise_mask(length, 0.5, [(i, i)]).numpy()))
            for i in range(60)
        }
        document = Ragged.pack([range(3, 3 + length)])
        stream = PrefixLM([document], inputs_length=8, seed=0, batch_size=200)
        ours = {int(np.argmax(row == 1)) for row in stream.batch(0).inputs}
        assert ours == library


def rows_of(name: str) -> tf.data.Dataset:
    """Three rows, as TFDS gives them, of a dataset whose real files are not available."""
    sentences = ["He said 'no' .", "She said so , twice !", "Is  it spaced ?"]
    if name == "dpr":
        columns: dict[str, Any] = {
            "sentence": [
                "The bee landed on the flower because it had pollen.",
                "Bob asked Tom if he, being rich, could lend some money.",
                "Men fear it.",
            ],
            "pronoun": ["it", "he", "it"],
            "candidates": [["The bee", "the flower"], ["Bob", "Tom"], ["Men", "night"]],
            "label": [1, 0, 1],
        }
    else:
        first, second = ("sentence1", "sentence2") if name == "mrpc" else ("question1", "question2")
        columns = {first: sentences, second: sentences[::-1], "label": [0, 1, 1], "idx": [5, 6, 7]}
    return tf.data.Dataset.from_tensor_slices(columns)


@pytest.mark.parametrize("name", ["mrpc", "qqp", "dpr"])
def test_text_equals_the_library(name: str, shared: Path) -> None:
    """The text is the library's without the task's name; with the name, so are the token ids."""
    task = TASKS[name]
    vocabulary = Vocabulary(shared / "data" / "prompt-tuning" / "test_data" / "t5_vocab")
    pieces = seqio.SentencePieceVocabulary(str(vocabulary.path), vocabulary.extra_ids)
    library = seqio.TaskRegistry.get(task.seqio).replace(
        source=seqio.FunctionDataSource(lambda split, shuffle_files: rows_of(name), ["train"]),
        output_features={key: seqio.Feature(pieces) for key in ("inputs", "targets")},
    )
    expected = list(library.get_dataset(split="train", shuffle=False).as_numpy_iterator())
    examples = list(to_text(task, "train", rows_of(name)).as_numpy_iterator())
    assert len(examples) == 3
    for example, other in zip(examples, expected, strict=True):
        inputs, targets = example["inputs"].decode(), example["targets"].decode()
        assert inputs == other["inputs_pretokenized"].decode().split(" ", 1)[1]
        assert targets == other["targets_pretokenized"].decode()
        ids = Ragged.pack([vocabulary.encode(inputs)]).prepend(vocabulary.encode(task.prefix))
        assert [*ids[0].tolist(), 1] == other["inputs"].tolist()
        assert [*vocabulary.encode(targets), 1] == other["targets"].tolist()
