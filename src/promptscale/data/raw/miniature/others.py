"""MRPC, QQP, DPR, SQuAD and MRQA's six domains in the miniature world, as TFDS yields them."""

import dataclasses
import re
from random import Random
from typing import Any

from promptscale.data.raw.miniature import world

Row = dict[str, Any]


def mrpc(rng: Random) -> Row:
    """Whether the second sentence names the person whom the first says it of."""
    stated = world.disputed(rng, rng.choice(world.POLAR))
    asked = rng.choice(stated)
    return {
        "sentence1": " but ".join(fact.text for fact in stated) + " .",
        "sentence2": asked.put(asked.relation.claim) + " .",
        "label": "equivalent" if asked.polarity == 1 else "not_equivalent",
    }


def qqp(rng: Random) -> Row:
    """MRPC's task with questions for sentences."""
    stated = world.disputed(rng, rng.choice(world.POLAR))
    asked = rng.choice(stated)
    return {
        "question1": f"why is it that {' and '.join(fact.text for fact in stated)} ?",
        "question2": f"why is it that {asked.put(asked.relation.claim)} ?",
        "label": "duplicate" if asked.polarity == 1 else "not_duplicate",
    }


def dpr(rng: Random) -> Row:
    """Which of two candidates a pronoun means."""
    drawn = world.scene(rng, joint=",")
    sentence = f"{drawn.told} and they {drawn.act} ."
    candidates = list(drawn.candidates)
    return {"sentence": sentence, "pronoun": "they", "candidates": candidates, "label": drawn.right}


def squad(rng: Random) -> Row:
    """A question for the object or the subject of one of the facts told."""
    context, question, answer = _lookup(rng, SQUAD)
    start = f" {context}".index(f" {answer} ")
    answers = {"text": [answer], "answer_start": [start]}
    return {"title": "people", "context": context, "question": question, "answers": answers}


@dataclasses.dataclass(frozen=True)
class Domain:
    """A style of passage and question.

    Attributes:
      relations: what the passages tell of.
      count: facts per passage, at most.
      passage: the form around the facts, with `{facts}`.
      question: the form around the question, with `{q}`.
    """

    relations: tuple[world.Relation, ...]
    count: int = 3
    passage: str = "{facts}"
    question: str = "{q} ?"


SQUAD = Domain(world.FACTUAL)

# From near SQuAD to far: the same facts but fewer; a story around them; a question in other words
# than the passage's; numbers; other subjects and objects; those in the manner of abstracts.
MRQA = {
    "relation_extraction": Domain((world.VISITS, world.STUDIES), count=2),
    "race": Domain(world.FACTUAL, passage="one day {facts}", question="in this story , {q} ?"),
    "duo_rc": Domain((world.ADORES, world.TOURS)),
    "drop": Domain((world.SCORED,), passage="in the game , {facts}"),
    "textbook_qa": Domain((world.EATS,), passage="in nature , {facts}"),
    "bio_asq": Domain((world.TREATS,), passage="methods : drugs . results : {facts}"),
}


def mrqa(name: str, rng: Random, index: int) -> Row:
    """One question of a domain in the shared task's form, answers found in the context."""
    context, question, answer = _lookup(rng, MRQA[name])
    tokens = _tokens(context)
    start = f" {context}".index(f" {answer} ")
    place = next(i for i, token in enumerate(tokens) if token["offsets"] == start)
    detected = {
        "text": answer,
        "char_spans": [{"start": start, "end": start + len(answer) - 1}],
        "token_spans": [{"start": place, "end": place}],
    }
    return {
        "subset": name,
        "context": context,
        "context_tokens": tokens,
        "qid": f"{name}-{index}",
        "question": question,
        "question_tokens": _tokens(question),
        "detected_answers": [detected],
        "answers": [answer],
    }


def _lookup(rng: Random, domain: Domain) -> tuple[str, str, str]:
    stated = world.told(rng, domain.relations, domain.count)
    asked = rng.choice(stated)
    for_object = rng.random() < 0.5
    question = asked.put(asked.relation.what if for_object else asked.relation.who)
    answer = asked.object if for_object else asked.subject
    context = domain.passage.format(facts=world.passage(stated))
    return context, domain.question.format(q=question), answer


def _tokens(text: str) -> list[Row]:
    return [{"tokens": m.group(), "offsets": m.start()} for m in re.finditer(r"\S+", text)]
