"""The tasks with free-form answers in the miniature world: ReCoRD, SQuAD and MRQA's six domains.

Each function makes a row, or the parts of a row, as TFDS's builder yields it.
"""

import dataclasses
import re
from collections.abc import Sequence
from random import Random

from promptscale.data.raw.miniature import world
from promptscale.data.raw.miniature.world import Row

_CONTRAST = world.CONTRAST["tasks"]


def record(rng: Random, index: int) -> Row:
    """A cloze query for the subject of a fact; the passage's last fact is its highlight."""
    stated = world.affirmed(rng, world.FACTUAL, 2, _CONTRAST)
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
    """A style of passage and question; see `language.yaml`."""

    relations: Sequence[str]
    count: int = 3
    passage: str = "{facts}"
    question: str = "{q} ?"
    subset: str = ""


SQUAD = Domain(**world.LANGUAGE["squad"])
MRQA = {name: Domain(**fields) for name, fields in world.LANGUAGE["mrqa"].items()}


def _lookup(rng: Random, domain: Domain) -> tuple[str, str, str, int]:
    """A context, a question for a fact's object or subject, the answer, and its start."""
    relations = world.relations(domain.relations)
    stated = world.affirmed(rng, relations, domain.count, _CONTRAST)
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


def mrqa(task: str, rng: Random, index: int) -> Row:
    """A question of an MRQA domain in the shared task's form, with the answer's positions."""
    domain = MRQA[task]
    context, question, answer, start = _lookup(rng, domain)
    tokens = _tokens(context)
    position = [token["offsets"] for token in tokens].index(start)
    detected = {
        "text": answer,
        "char_spans": [{"start": start, "end": start + len(answer) - 1}],
        "token_spans": [{"start": position, "end": position}],
    }
    return {
        "subset": domain.subset,
        "context": context,
        "context_tokens": tokens,
        "qid": f"{domain.subset}-{index}",
        "question": question,
        "question_tokens": _tokens(question),
        "detected_answers": [detected],
        "answers": [answer],
    }


def _tokens(text: str) -> list[Row]:
    return [{"tokens": m.group(), "offsets": m.start()} for m in re.finditer(r"\S+", text)]
