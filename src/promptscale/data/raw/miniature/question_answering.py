"""The tasks with free-form answers in the miniature world: ReCoRD, SQuAD and MRQA's six domains.

Each function makes a row, or the parts of a row, as TFDS's builder yields it.
"""

import dataclasses
import re
from random import Random
from typing import Any

from promptscale.data.raw.miniature import world

Row = dict[str, Any]


def record(rng: Random, index: int) -> Row:
    """A cloze query for the subject of a fact; the passage's last fact is its highlight."""
    stated = world.affirmed(rng, world.FACTUAL, 2)
    target = rng.choice(stated)
    query = target.relation.claim.format(s="@placeholder", o=target.object)
    return {
        "passage": f"{stated[0].text} .\n@highlight\n{stated[1].text} .",
        "query": f"{query} .",
        "entities": sorted({fact.subject for fact in stated} | {stated[0].object}),
        "answers": [target.subject],
        "idx": {"passage": index, "query": index},
    }


@dataclasses.dataclass(frozen=True)
class Domain:
    """A style of passage and question.

    Attributes:
      relations: the relations of the passage's facts.
      count: the largest number of facts in a passage.
      passage: the form around the facts, with `{facts}`.
      question: the form around the question, with `{q}`.
    """

    relations: tuple[world.Relation, ...]
    count: int = 3
    passage: str = "{facts}"
    question: str = "{q} ?"


SQUAD = Domain(world.FACTUAL)

# The domains in order of their distance from SQuAD: fewer facts; a story around them; questions in
# other words than the passage; numbers; other subjects and objects; the form of an abstract.
MRQA = {
    "relation_extraction": Domain((world.VISITS, world.STUDIES), count=2),
    "race": Domain(world.FACTUAL, passage="one day {facts}", question="in this story , {q} ?"),
    "duo_rc": Domain((world.ADORES, world.TOURS)),
    "drop": Domain((world.SCORED,), passage="in the game , {facts}"),
    "textbook_qa": Domain((world.EATS,), passage="in nature , {facts}"),
    "bio_asq": Domain((world.TREATS,), passage="methods : drugs . results : {facts}"),
}


def _lookup(rng: Random, domain: Domain) -> tuple[str, str, str, int]:
    """A context, a question for a fact's object or subject, the answer, and its start."""
    stated = world.affirmed(rng, domain.relations, domain.count)
    target = rng.choice(stated)
    for_object = rng.random() < 0.5
    question = target.put(target.relation.what if for_object else target.relation.who)
    answer = target.object if for_object else target.subject
    context = domain.passage.format(facts=world.passage(stated))
    start = f" {context}".index(f" {answer} ")
    return context, domain.question.format(q=question), answer, start


def squad(rng: Random, index: int) -> Row:
    """A question of SQuAD."""
    context, question, answer, start = _lookup(rng, SQUAD)
    return {
        "id": f"miniature-{index}",
        "title": "people",
        "context": context,
        "question": question,
        "answers": {"text": [answer], "answer_start": [start]},
    }


def mrqa(name: str, rng: Random, index: int) -> Row:
    """A question of an MRQA domain in the shared task's form, with the answer's positions."""
    context, question, answer, start = _lookup(rng, MRQA[name])
    tokens = _tokens(context)
    position = next(i for i, token in enumerate(tokens) if token["offsets"] == start)
    detected = {
        "text": answer,
        "char_spans": [{"start": start, "end": start + len(answer) - 1}],
        "token_spans": [{"start": position, "end": position}],
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


def _tokens(text: str) -> list[Row]:
    return [{"tokens": m.group(), "offsets": m.start()} for m in re.finditer(r"\S+", text)]
