"""Scores of predicted texts, as the T5 library computes them, without TensorFlow.

All values are between 0 and 100. An output that is not a legal label is wrong, never an error. The
rules are those of `t5.data.postprocessors` and `t5.evaluation.metrics`; the tests compare both.
"""

import collections
import itertools
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from promptscale.config.tasks import Task
from promptscale.errors import ResultsError

Row = Mapping[str, Any]

INVALID = -1
SENTINEL = "<extra_id_0>"
# Section 5: zero-shot transfer between MRPC and QQP renames the label in the prediction.
TRANSFER_WORDS = {"mrpc": "equivalent", "qqp": "duplicate"}
# The words that the T5 library's `wsc_simple` ignores when it compares two noun phrases.
_DETERMINERS = {"a", "an", "few", "her", "his", "each", "every", "many", "much", "my", "our"}
_DETERMINERS |= {"some", "that", "the", "their", "these", "this", "those", "which", "whose", "your"}
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CONSTANT_ANSWERS = 20  # candidates for the best constant output of a task without labels


def remove_sentinel(prediction: str) -> str:
    """Removes the sentinel that the targets of `span corruption + sentinel` start with."""
    return prediction.removeprefix(SENTINEL).lstrip()


def transfer_labels(prediction: str, source: Task, target: Task) -> str:
    """Rewrites a prediction of a prompt trained on `source` in the label words of `target`."""
    return prediction.replace(TRANSFER_WORDS[source.name], TRANSFER_WORDS[target.name])


def class_id(task: Task, prediction: str) -> int:
    """The class whose label equals `prediction`, else `INVALID`."""
    return task.labels.index(prediction) if prediction in task.labels else INVALID


def _without_determiners(phrase: str) -> str:
    words = phrase.strip().lower().split(" ")
    return " ".join(word for word in words if word not in _DETERMINERS)


def names_referent(prediction: str, referent: str) -> int:
    """1 if the prediction names the referent, 0 if it does not, `INVALID` if it has no words.

    The words of a phrase must include those of the other ("fuzzy bunny", "bunny"). A possessive
    matches only a possessive.
    """
    prediction, referent = _without_determiners(prediction), _without_determiners(referent)
    if not prediction:
        return INVALID
    if ("'" in prediction) != ("'" in referent):
        return 0
    predicted, expected = set(prediction.split(" ")), set(referent.split(" "))
    return int(predicted <= expected or expected <= predicted)


def normalize_answer(text: str) -> str:
    """SQuAD's normal form: lower case, without punctuation, articles and extra spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def _token_f1(prediction: str, answer: str) -> float:
    predicted, expected = prediction.split(), answer.split()
    common = sum((collections.Counter(predicted) & collections.Counter(expected)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(expected)
    return 2 * precision * recall / (precision + recall)


def answer_scores(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """SQuAD's exact match and token F1 (each 0 to 1), the maximum over the accepted answers."""
    prediction = normalize_answer(prediction)
    accepted = [normalize_answer(answer) for answer in answers]
    exact = max(float(prediction == answer) for answer in accepted)
    return exact, max(_token_f1(prediction, answer) for answer in accepted)


def _f1(labels: np.ndarray, classes: np.ndarray, positive: int) -> float:
    hits = np.sum((labels == positive) & (classes == positive))
    total = np.sum(labels == positive) + np.sum(classes == positive)
    return float(200 * hits / total) if total else 0.0


def _class(task: Task, prediction: str, row: Row) -> int:
    if task.kind == "wsc":
        return names_referent(prediction, row["targets"])
    return class_id(task, prediction)


def _score_classes(task: Task, predictions: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    labels = np.array([row["label"] for row in rows])
    classes = np.array([_class(task, *pair) for pair in zip(predictions, rows, strict=True)])
    right = labels == classes
    # Of two classes, an invalid prediction counts as the wrong class.
    binary_f1 = _f1(labels, np.where(classes == INVALID, 1 - labels, classes), positive=1)
    numbers = range(len(task.labels) or 2)  # the two classes of WSC have no label texts
    macro_f1 = np.mean([_f1(labels, classes, positive) for positive in numbers])
    groups = [row.get("group", i) for i, row in enumerate(rows)]
    wrong = {group for group, is_right in zip(groups, right, strict=True) if not is_right}
    size = len(set(groups))
    return {
        "accuracy": 100 * float(np.mean(right)),
        "f1_macro": float(macro_f1),
        "f1": binary_f1,
        "f1a": binary_f1,
        "em": 100 * (size - len(wrong)) / size,
    }


def _score_answers(predictions: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    first: dict[Any, int] = {}  # by query, its first example
    for i, row in enumerate(rows):
        first.setdefault(row.get("group", i), i)
    scores = np.array([answer_scores(predictions[i], rows[i]["answers"]) for i in first.values()])
    exact, f1 = 100 * scores.mean(axis=0)
    return {"em": float(exact), "f1": float(f1)}


def score(task: Task, predictions: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    """Each of `task.metrics`, and `score`, the mean of `task.score_metrics`.

    ReCoRD counts the first example of each query. MultiRC's exact match is per question.

    Raises:
      ResultsError: there are no examples, or their number is not that of the predictions.
    """
    if not rows or len(predictions) != len(rows):
        raise ResultsError(
            f"{task.title} has {len(predictions)} predictions for {len(rows)} examples; "
            "scoring needs a prediction for each example, and at least 1 example."
        )
    if task.kind in ("qa", "record"):
        metrics = _score_answers(predictions, rows)
    else:
        metrics = _score_classes(task, predictions, rows)
    values = {name: metrics[name] for name in task.metrics}
    return values | {"score": float(np.mean([values[name] for name in task.score_metrics]))}


def correct(task: Task, prediction: str, row: Row) -> bool:
    """Whether a prediction is right: it is the class, names the referent, or matches an answer."""
    if task.kind in ("qa", "record"):
        return answer_scores(prediction, row["answers"])[0] == 1.0
    return _class(task, prediction, row) == row["label"]


def majority_score(task: Task, rows: Sequence[Row]) -> dict[str, float]:
    """The metrics of the best constant output, a lower bound for a useful prompt.

    Candidates are the labels, else frequent answers or referents and an output that names nothing.
    """
    candidates = ["?"] if task.kind == "wsc" else list(task.labels)
    if not task.labels:
        texts = [
            [row["targets"]] if task.kind == "wsc" else dict.fromkeys(row["answers"])
            for row in rows
        ]
        common = collections.Counter(itertools.chain.from_iterable(texts))
        candidates += [text for text, _ in common.most_common(_CONSTANT_ANSWERS)]
    scores = [score(task, [candidate] * len(rows), rows) for candidate in candidates]
    return max(scores, key=lambda values: values["score"])
