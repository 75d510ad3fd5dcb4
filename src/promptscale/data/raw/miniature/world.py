"""The miniature world: short facts about a few people, and the questions that they answer.

Every fact has a subject, an object and a polarity. A question is answered by finding a fact by its
subject or by its object. A two-layer T5 of width 64 learns this in minutes. It does not learn to
compare two values, so no task needs that.

In `CONTRAST_SHARE` of the rows of every task the passage has facts with opposite answers, and only
the question decides between them. In the other rows the passage is about a single fact or person,
and the kind of word that the question asks for is enough. If all rows were of the first kind, a
two-layer model would stay at chance in the time that it has.
"""

import dataclasses
from collections.abc import Sequence
from random import Random
from typing import Literal

Polarity = Literal[1, -1, 0]
POLARITIES: tuple[Polarity, ...] = (1, -1, 0)  # stated, denied, only possible

CONTRAST_SHARE = 0.4

PEOPLE = ("anna", "ben", "cara", "dan", "ella", "finn", "gina", "hugo")
FOOD = ("soup", "rice", "bread", "cake", "fish")
SKILLS = ("swim", "sing", "dance", "cook", "read")
THINGS = ("lamps", "drums", "coats", "bikes", "books")
PLACES = ("rome", "oslo", "cairo", "lima", "delhi")
SUBJECTS = ("law", "art", "music", "logic", "latin")
ANIMALS = ("frogs", "wolves", "ducks", "hares", "goats")
PREY = ("flies", "grass", "worms", "seeds", "leaves")
DRUGS = ("alpha", "beta", "gamma", "delta", "sigma")
DISEASES = ("fever", "cough", "rash", "pain", "gout")
NUMBERS = ("two", "three", "four", "five", "six")

# The act that each state leads to: the world's common sense.
EFFECTS = {
    "hungry": "ate",
    "thirsty": "drank",
    "tired": "slept",
    "dirty": "washed",
    "sad": "cried",
    "happy": "laughed",
    "late": "ran",
    "cold": "shivered",
}

# States and acts that no person has: wrong choices for every question.
ABSURD = {"peeled": "leaked", "sliced": "rusted", "parked": "boiled", "printed": "thawed"}

# Words with two senses (an animal or a tool), and the verbs that show the sense.
AMBIGUOUS = ("bat", "crane", "seal", "mole", "kite", "mouse")
ALIVE = ("slept", "grew", "ate", "drank")
TOOL = ("broke", "rusted", "fell", "leaked")


@dataclasses.dataclass(frozen=True)
class Relation:
    """A kind of fact and the ways to state it and to ask about it.

    Forms contain `{s}` for the subject and `{o}` for the object.

    Attributes:
      verbs: by polarity, equivalent words between the subject and the object of a fact.
      what: the question for the object.
      who: the question for the subject.
      whether: the yes/no question; only the relations in `POLAR` have it.
    """

    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    verbs: dict[Polarity, tuple[str, ...]]
    what: str
    who: str
    whether: str = ""

    @property
    def claim(self) -> str:
        """The positive form in which a claim restates a fact."""
        return f"{{s}} {self.verbs[1][0]} {{o}}"

    def state(self, rng: Random, subject: str, object_: str, polarity: Polarity) -> "Fact":
        """A fact of this relation, stated with a verb that is drawn."""
        text = f"{subject} {rng.choice(self.verbs[polarity])} {object_}"
        return Fact(self, subject, object_, polarity, text)


LIKES = Relation(
    PEOPLE,
    FOOD,
    {1: ("likes", "loves"), -1: ("hates", "dislikes"), 0: ("tries", "tastes")},
    what="what does {s} like",
    who="who likes {o}",
    whether="does {s} like {o}",
)
CAN = Relation(
    PEOPLE,
    SKILLS,
    {1: ("can", "will"), -1: ("cannot", "never"), 0: ("may", "might")},
    what="what can {s} do",
    who="who can {o}",
    whether="can {s} {o}",
)
HAS = Relation(
    PEOPLE,
    THINGS,
    {1: ("has", "owns"), -1: ("lacks", "lost"), 0: ("wants", "seeks")},
    what="what does {s} have",
    who="who has {o}",
    whether="does {s} have {o}",
)
VISITS = Relation(PEOPLE, PLACES, {1: ("visits", "tours")}, "where does {s} go", "who visits {o}")
STUDIES = Relation(
    PEOPLE, SUBJECTS, {1: ("studies", "teaches")}, "what does {s} study", "who studies {o}"
)
EATS = Relation(ANIMALS, PREY, {1: ("eat", "catch")}, "what do {s} eat", "which animals eat {o}")
TREATS = Relation(
    DRUGS,
    DISEASES,
    {1: ("treats", "inhibits")},
    what="which disease does {s} treat",
    who="which drug treats {o}",
)
SCORED = Relation(
    PEOPLE, NUMBERS, {1: ("scored", "made")}, "how many points did {s} score", "who scored {o}"
)

# DuoRC's questions use other words than its passages.
ADORES = dataclasses.replace(LIKES, what="what is {s} fond of", who="who is fond of {o}")
TOURS = dataclasses.replace(VISITS, what="what is {s} going to", who="who is going to {o}")

POLAR = (LIKES, CAN, HAS)
FACTUAL = (LIKES, CAN, HAS, VISITS, STUDIES)


@dataclasses.dataclass(frozen=True)
class Fact:
    """A stated fact; `text` is its form in the passage, without the full stop."""

    relation: Relation
    subject: str
    object: str
    polarity: Polarity
    text: str

    def put(self, form: str) -> str:
        """Fills a form of the relation with this fact's subject and object."""
        return form.format(s=self.subject, o=self.object)


def facts(rng: Random, relations: list[Relation], polarities: list[Polarity]) -> list[Fact]:
    """A fact for each relation and polarity; no subject and no object occurs twice."""
    subjects: set[str] = set()
    objects: set[str] = set()
    made = []
    for relation, polarity in zip(relations, polarities, strict=True):
        subject = rng.choice([s for s in relation.subjects if s not in subjects])
        object_ = rng.choice([o for o in relation.objects if o not in objects])
        subjects.add(subject)
        objects.add(object_)
        made.append(relation.state(rng, subject, object_, polarity))
    return made


def passage(stated: list[Fact]) -> str:
    """The facts as sentences."""
    return " ".join(f"{fact.text} ." for fact in stated)


def contrasted(rng: Random) -> bool:
    """Draws whether only the question decides the answer of a row."""
    return rng.random() < CONTRAST_SHARE


def affirmed(rng: Random, relations: Sequence[Relation], count: int) -> list[Fact]:
    """Positive facts for a question: `count` facts of different subjects, or all of a subject."""
    if contrasted(rng):
        return facts(rng, rng.choices(relations, k=count), [1] * count)
    different = rng.sample(relations, min(count, len(relations)))
    subject = rng.choice(different[0].subjects)
    return [relation.state(rng, subject, rng.choice(relation.objects), 1) for relation in different]


def disputed(
    rng: Random, relation: Relation, polarities: tuple[Polarity, ...] = (1, -1)
) -> list[Fact]:
    """Facts of a relation for a verdict: a fact of each polarity, or a single fact."""
    drawn = rng.sample(polarities, len(polarities) if contrasted(rng) else 1)
    return facts(rng, [relation] * len(drawn), drawn)


@dataclasses.dataclass(frozen=True)
class Dilemma:
    """A premise and two choices for its cause or effect; the choice at index `fits` is right."""

    premise: str
    question: str
    choices: tuple[str, str]
    fits: int


def dilemma(rng: Random) -> Dilemma:
    """A person's state and the act that follows; the wrong choice fits another state or none."""
    person = rng.choice(PEOPLE)
    right, other = rng.sample(sorted(EFFECTS.items()), 2)
    wrong = other if contrasted(rng) else rng.choice(sorted(ABSURD.items()))
    question = rng.choice(("cause", "effect"))
    state, act = f"{person} was {{}} .", f"{person} {{}} ."
    premise, choice = (act, state) if question == "cause" else (state, act)
    known, sought = (1, 0) if question == "cause" else (0, 1)
    fits = rng.randrange(2)
    choices = choice.format(right[sought]), choice.format(wrong[sought])
    ordered = choices if fits == 0 else choices[::-1]
    return Dilemma(premise.format(right[known]), question, ordered, fits)


@dataclasses.dataclass(frozen=True)
class Scene:
    """The states of two candidates, and the act of the candidate at index `right`."""

    states: str
    act: str
    candidates: tuple[str, str]
    right: int


def scene(rng: Random, joint: str = "and") -> Scene:
    """Two people in different states, or a person and a thing that cannot act."""
    a, b = rng.sample(PEOPLE, 2)
    x, y = rng.sample(sorted(EFFECTS), 2)
    if contrasted(rng):
        right = rng.randrange(2)
        return Scene(f"{a} was {x} {joint} {b} was {y}", EFFECTS[(x, y)[right]], (a, b), right)
    thing = rng.choice(THINGS)
    if rng.random() < 0.5:
        return Scene(f"{a} was {x} {joint} saw {thing}", EFFECTS[x], (a, thing), 0)
    return Scene(f"{thing} were near {joint} {a} was {x}", EFFECTS[x], (thing, a), 1)


def senses(rng: Random) -> list[tuple[str, bool, str]]:
    """A word in a sense, or two words in opposite senses: (word, is animal, clause) for each."""
    count = 2 if contrasted(rng) else 1
    alive = rng.sample((True, False), count)
    words = rng.sample(AMBIGUOUS, count)
    return [
        (word, animal, f"the {word} {rng.choice(ALIVE if animal else TOOL)}")
        for word, animal in zip(words, alive, strict=True)
    ]
