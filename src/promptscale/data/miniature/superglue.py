"""The eight SuperGLUE tasks in the miniature world, as TFDS's `super_glue` builder yields them."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from promptscale.data.miniature import world

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
    person = rng.choice(world.PEOPLE)
    right, wrong = rng.sample(sorted(world.EFFECTS.items()), 2)
    question = rng.choice(("cause", "effect"))
    state, act = f"{person} was {{}} .", f"{person} {{}} ."
    premise, choice = (act, state) if question == "cause" else (state, act)
    known, sought = (1, 0) if question == "cause" else (0, 1)
    label = rng.randrange(2)
    choices = [choice.format(right[sought]), choice.format(wrong[sought])]
    return {
        "premise": premise.format(right[known]),
        "choice1": choices[label],
        "choice2": choices[1 - label],
        "question": question,
        "label": f"choice{label + 1}",
    }


def multirc(rng: Random) -> list[Row]:
    """One question with a right and a wrong answer among three people and one object."""
    relation = rng.choice(world.POLAR)
    polarities: list[world.Polarity] = [1, -1, rng.choice((1, -1))]
    rng.shuffle(polarities)
    object_ = rng.choice(relation.objects)
    people = rng.sample(relation.subjects, 3)
    sentences = [
        rng.choice(relation.stated[polarity]).format(s=person, o=object_) + " ."
        for person, polarity in zip(people, polarities, strict=True)
    ]
    answers = [rng.choice([i for i in range(3) if polarities[i] == sign]) for sign in (1, -1)]
    rng.shuffle(answers)
    return [
        {
            "paragraph": " ".join(sentences),
            "question": relation.who.format(o=object_),
            "answer": people[i],
            "label": _BOOL[polarities[i]],
        }
        for i in answers
    ]


def record(rng: Random) -> Row:
    """A cloze query for the person of one fact; the last fact is the passage's highlight."""
    stated = world.facts(rng, rng.choices(world.FACTUAL, k=3), [1, 1, 1])
    asked = rng.choice(stated)
    query = asked.relation.claim.format(s="@placeholder", o=asked.object)
    return {
        "passage": f"{world.passage(stated[:2])}\n@highlight\n{stated[2].text} .",
        "query": f"{query} .",
        "entities": sorted(fact.subject for fact in stated),
        "answers": [asked.subject],
    }


def wic(rng: Random) -> Row:
    """Whether a word means the animal in both sentences; the first tells of two such words."""
    words = rng.sample(world.AMBIGUOUS, 2)
    senses = rng.sample((world.ALIVE, world.TOOL), 2)
    first = " and ".join(
        f"the {word} {rng.choice(sense)}" for word, sense in zip(words, senses, strict=True)
    )
    chosen = rng.randrange(2)
    word = words[chosen]
    row: Row = {
        "word": word,
        "sentence1": f"{first} .",
        "sentence2": f"a {word} is an animal .",
        "label": "True" if senses[chosen] is world.ALIVE else "False",
    }
    for number in ("1", "2"):
        start = row[f"sentence{number}"].index(f" {word} ") + 1
        row |= {f"start{number}": start, f"end{number}": start + len(word)}
    return row


def pronoun(rng: Random, form: str) -> tuple[str, list[str], int]:
    """A sentence of two people and a "they" that common sense resolves.

    Args:
      rng: the source of chance.
      form: with `{a}`, `{b}` (people), `{x}`, `{y}` (their states) and `{act}`.
    Returns:
      The sentence, the two people, and which of them the pronoun means.
    """
    people = rng.sample(world.PEOPLE, 2)
    states = rng.sample(sorted(world.EFFECTS), 2)
    chosen = rng.randrange(2)
    fields = dict(zip("abxy", [*people, *states], strict=True))
    return form.format(**fields, act=world.EFFECTS[states[chosen]]), people, chosen


def wsc(rng: Random) -> Row:
    """Whether the pronoun means the person given (a right or a wrong referent)."""
    text, people, chosen = pronoun(rng, "{a} was {x} and {b} was {y} so they {act} .")
    given = rng.randrange(2)
    words = text.split(" ")
    return {
        "text": text,
        "span1_text": people[given],
        "span1_index": words.index(people[given]),
        "span2_text": "they",
        "span2_index": words.index("they"),
        "label": "True" if given == chosen else "False",
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
