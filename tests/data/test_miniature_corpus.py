"""The text of the miniature's corpus: what it teaches, and what it leaves to the tasks."""

import re
from random import Random

import pytest

from promptscale.config.tasks import MRQA, TASKS
from promptscale.data.raw.miniature import classification, corpus, question_answering, world

VERDICTS = corpus.TEXT["verdicts"]["common"] + corpus.TEXT["verdicts"]["rare"]


@pytest.fixture(scope="module")
def documents():
    return [text.split() for text in corpus.documents(Random(0), 3000)]


def test_a_heading_names_the_words_of_the_answer_and_not_the_answer(documents):
    """Short documents that open with a verdict end with a verdict of the same set."""
    pairs = [
        (text[0], text[-1])
        for text in documents
        if len(text) < 60 and any(text[0] in words for words in VERDICTS)
    ]
    assert len(pairs) > 300
    for heading, answer in pairs:
        assert any(heading in words and answer in words for words in VERDICTS)
    same = sum(heading == answer for heading, answer in pairs) / len(pairs)
    assert 0.35 < same < 0.65


def test_the_corpus_has_every_word_of_the_tasks(documents):
    """A word that it lacked would be encoded by its letters, whose embeddings are untrained."""
    known = {word for text in documents for word in text}
    draw = Random(1)
    rows = [getattr(classification, task)(draw) for task in ("boolq", "cb", "copa", "wic", "wsc")
            for _ in range(200)]  # fmt: skip
    rows += [question_answering.squad(draw, index) for index in range(200)]
    rows += [question_answering.mrqa(task, draw, index) for task in MRQA for index in range(200)]
    fields = ("passage", "premise", "sentence1", "context", "question", "text", "label")
    words = {word for row in rows for field in fields for word in str(row.get(field, "")).split()}
    starts = {word for task in TASKS.values() for word in task.class_label_words}
    assert {word for word in words | starts if not word.isdigit()} <= known | {
        "positive",
        "negative",
    }


def test_a_share_of_the_rows_of_the_tasks_needs_a_look_up():
    """Such a row of BoolQ has a stated and a denied fact of the relation that is asked about."""
    draw = Random(2)
    passages = [classification.boolq(draw)["passage"] for _ in range(2000)]
    share = sum(passage.count(".") == 3 for passage in passages) / len(passages)
    assert abs(share - world.CONTRAST["tasks"]) < 0.04


def test_the_corpus_has_text_of_every_shifted_domain(documents):
    texts = [" ".join(text) for text in documents]
    for name in ("drop", "textbookqa", "bioasq", "race"):
        form = re.escape(question_answering.MRQA[name].passage.partition("{")[0])
        assert sum(bool(re.search(form, text)) for text in texts) > 0.01 * len(texts)


def test_a_paragraph_with_a_heading_ends_with_the_answer(documents):
    """Prompts have to make the model stop after the answer, so the corpus stops there as well."""
    people = {*world.LANGUAGE["people"], *world.LANGUAGE["things"]}
    names = {name for pair in corpus.TEXT["names"] for name in pair}
    for starts, answers in (({"pronoun", "resolution"}, people), (names, names)):
        ends = [text[-1] for text in documents if len(text) < 60 and text[0] in starts]
        assert len(ends) > 20 and set(ends) <= answers
