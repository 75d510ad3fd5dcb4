"""The eight SuperGLUE tasks in the miniature world, as TFDS's `super_glue` builder yields them."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from promptscale.data.raw.miniature import world

Row = dict[str, Any]
_BOOL = {1: "True", -1: "False"}


def boolq(rng: Random) -> Row:
    """Yes or no, by the polarity of the fact asked about; a third fact distracts."""
    stated = world.disputed(rng, rng.choice(world.POLAR))
    asked = rng.choice(stated)
    return {
        "question": asked.put(asked.relation.whether),
        "passage": world.passage(_with_distractor(rng, stated)),
        "label": _BOOL[asked.polarity],
    }


def cb(rng: Random) -> Row:
    """Three-way entailment: what is stated, denied or only possible."""
    stated = world.disputed(rng, rng.choice(world.POLAR), (1, -1, 0))
    asked = rng.choice(stated)
    labels = {1: "entailment", -1: "contradiction", 0: "neutral"}
    return {
        "premise": world.passage(stated),
        "hypothesis": asked.put(asked.relation.claim),
        "label": labels[asked.polarity],
    }


def rte(rng: Random) -> Row:
    """Two-way entailment; what is only possible is not entailed either."""
    stated = world.disputed(rng, rng.choice(world.POLAR), (1, rng.choice((-1, 0))))
    asked = rng.choice(stated)
    return {
        "premise": world.passage(stated),
        "hypothesis": asked.put(asked.relation.claim),
        "label": "entailment" if asked.polarity == 1 else "not_entailment",
    }


def copa(rng: Random) -> Row:
    """Which of two states is the cause, or which of two acts the effect."""
    drawn = world.dilemma(rng)
    return {
        "premise": drawn.premise,
        "choice1": drawn.choices[0],
        "choice2": drawn.choices[1],
        "question": drawn.question,
        "label": f"choice{drawn.fits + 1}",
    }


def multirc(rng: Random) -> list[Row]:
    """One question about an object, answered with two of the people in the paragraph."""
    relation = rng.choice(world.POLAR)
    polarities: list[world.Polarity] = (
        [1, -1] if world.contrasted(rng) else [rng.choice((1, -1))] * 2
    )
    rng.shuffle(polarities)
    object_ = rng.choice(relation.objects)
    people = rng.sample(relation.subjects, 2)
    sentences = [
        rng.choice(relation.stated[polarity]).format(s=person, o=object_) + " ."
        for person, polarity in zip(people, polarities, strict=True)
    ]
    rows = [
        {
            "paragraph": " ".join(sentences),
            "question": relation.who.format(o=object_),
            "answer": person,
            "label": _BOOL[polarity],
        }
        for person, polarity in zip(people, polarities, strict=True)
    ]
    rng.shuffle(rows)
    return rows


def record(rng: Random) -> Row:
    """A cloze query for the person of one fact; the last fact is the passage's highlight."""
    stated = world.told(rng, world.FACTUAL, 2)
    asked = rng.choice(stated)
    query = asked.relation.claim.format(s="@placeholder", o=asked.object)
    named = {fact.subject for fact in stated} | {stated[0].object}
    return {
        "passage": f"{stated[0].text} .\n@highlight\n{stated[1].text} .",
        "query": f"{query} .",
        "entities": sorted(named),
        "answers": [asked.subject],
    }


def wic(rng: Random) -> Row:
    """Whether a word means the animal in both sentences."""
    known = world.senses(rng)
    word, animal, _ = rng.choice(known)
    row: Row = {
        "word": word,
        "sentence1": " and ".join(clause for _, _, clause in known) + " .",
        "sentence2": f"a {word} is an animal .",
        "label": "True" if animal else "False",
    }
    for number in ("1", "2"):
        start = row[f"sentence{number}"].index(f" {word} ") + 1
        row |= {f"start{number}": start, f"end{number}": start + len(word)}
    return row


def wsc(rng: Random) -> Row:
    """Whether the pronoun means the candidate given (a right or a wrong referent)."""
    drawn = world.scene(rng)
    text = f"{drawn.told} so they {drawn.act} ."
    given = rng.randrange(2)
    words = text.split(" ")
    return {
        "text": text,
        "span1_text": drawn.candidates[given],
        "span1_index": words.index(drawn.candidates[given]),
        "span2_text": "they",
        "span2_index": words.index("they"),
        "label": "True" if given == drawn.right else "False",
    }


def rows(name: str, rng: Random, count: int) -> Iterator[Row]:
    """`count` rows of one SuperGLUE configuration with the builder's `idx`."""
    if name == "multirc":
        for index in range(count // 2):
            for answer, row in enumerate(multirc(rng)):
                yield row | {"idx": {"paragraph": index, "question": 0, "answer": answer}}
        return
    for index in range(count):
        number = {"passage": index, "query": index} if name == "record" else index
        yield _TASKS[name](rng) | {"idx": number}


def _with_distractor(rng: Random, stated: list[world.Fact]) -> list[world.Fact]:
    used = {fact.subject for fact in stated}
    while True:
        extra = world.facts(rng, [rng.choice((world.VISITS, world.STUDIES))], [1])
        if extra[0].subject not in used:
            break
    mixed = stated + extra
    rng.shuffle(mixed)
    return mixed


_TASKS: dict[str, Callable[[Random], Row]] = {
    "boolq": boolq,
    "cb": cb,
    "copa": copa,
    "record": record,
    "rte": rte,
    "wic": wic,
    "wsc.fixed": wsc,
}
