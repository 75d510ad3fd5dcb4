"""The miniature world: short facts about a few people, and the questions that they answer.

Every fact has a subject, an object and a polarity, and every question is answered by looking up
one fact by its subject or its object. That is what a two-layer T5 of width 64 learns in minutes;
comparing two values is not, so no task asks for it.

In `CONTRAST_SHARE` of the rows of every task the passage holds things of opposite answers, and
only the question tells which one counts. In the others the passage speaks of one thing, and it is
enough to see which kind of word is asked for. (Where all rows are of the first kind, gradient
descent finds no way in: a two-layer model stays at chance in the time there is.)
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

# What a state makes people do: the world's common sense.
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

# What nobody is and nobody does: alternatives that do not fit whatever is asked.
ABSURD = {"peeled": "leaked", "sliced": "rusted", "parked": "boiled", "printed": "thawed"}

# Words of two senses, and what shows which is meant.
AMBIGUOUS = ("bat", "crane", "seal", "mole", "kite", "mouse")
ALIVE = ("slept", "grew", "ate", "drank")
TOOL = ("broke", "rusted", "fell", "leaked")


@dataclasses.dataclass(frozen=True)
class Relation:
    """A kind of fact and the ways to state it and to ask about it.

    The forms contain `{s}` for the subject and `{o}` for the object.

    Attributes:
      stated: by polarity (1, -1, 0 for "perhaps"), equivalent ways to state the fact.
      whether: the yes/no question.
      claim: the fact restated, positively.
      what: the question for the object.
      who: the question for the subject.
    """

    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    stated: dict[Polarity, tuple[str, ...]]
    whether: str
    claim: str
    what: str
    who: str


LIKES = Relation(
    PEOPLE,
    FOOD,
    {
        1: ("{s} likes {o}", "{s} loves {o}"),
        -1: ("{s} hates {o}", "{s} dislikes {o}"),
        0: ("{s} tries {o}", "{s} tastes {o}"),
    },
    whether="does {s} like {o}",
    claim="{s} likes {o}",
    what="what does {s} like",
    who="who likes {o}",
)
CAN = Relation(
    PEOPLE,
    SKILLS,
    {
        1: ("{s} can {o}", "{s} will {o}"),
        -1: ("{s} cannot {o}", "{s} never {o}"),
        0: ("{s} may {o}", "{s} might {o}"),
    },
    whether="can {s} {o}",
    claim="{s} can {o}",
    what="what can {s} do",
    who="who can {o}",
)
HAS = Relation(
    PEOPLE,
    THINGS,
    {
        1: ("{s} has {o}", "{s} owns {o}"),
        -1: ("{s} lacks {o}", "{s} lost {o}"),
        0: ("{s} wants {o}", "{s} seeks {o}"),
    },
    whether="does {s} have {o}",
    claim="{s} has {o}",
    what="what does {s} have",
    who="who has {o}",
)
VISITS = Relation(
    PEOPLE,
    PLACES,
    {1: ("{s} visits {o}", "{s} tours {o}")},
    whether="does {s} visit {o}",
    claim="{s} visits {o}",
    what="where does {s} go",
    who="who visits {o}",
)
STUDIES = Relation(
    PEOPLE,
    SUBJECTS,
    {1: ("{s} studies {o}", "{s} teaches {o}")},
    whether="does {s} study {o}",
    claim="{s} studies {o}",
    what="what does {s} study",
    who="who studies {o}",
)
EATS = Relation(
    ANIMALS,
    PREY,
    {1: ("{s} eat {o}", "{s} catch {o}")},
    whether="do {s} eat {o}",
    claim="{s} eat {o}",
    what="what do {s} eat",
    who="which animals eat {o}",
)
TREATS = Relation(
    DRUGS,
    DISEASES,
    {1: ("{s} treats {o}", "{s} inhibits {o}")},
    whether="does {s} treat {o}",
    claim="{s} treats {o}",
    what="which disease does {s} treat",
    who="which drug treats {o}",
)
SCORED = Relation(
    PEOPLE,
    NUMBERS,
    {1: ("{s} scored {o}", "{s} made {o}")},
    whether="did {s} score {o}",
    claim="{s} scored {o}",
    what="how many points did {s} score",
    who="who scored {o}",
)

# What DuoRC's questions do: they ask in other words than the passage's.
ADORES = dataclasses.replace(LIKES, what="what is {s} fond of", who="who is fond of {o}")
TOURS = dataclasses.replace(VISITS, what="what is {s} going to", who="who is going to {o}")

POLAR = (LIKES, CAN, HAS)
FACTUAL = (LIKES, CAN, HAS, VISITS, STUDIES)


@dataclasses.dataclass(frozen=True)
class Fact:
    """A stated fact; `text` is how the passage puts it, without the full stop."""

    relation: Relation
    subject: str
    object: str
    polarity: Polarity
    text: str

    def put(self, form: str) -> str:
        """A form of the relation filled with this fact's subject and object."""
        return form.format(s=self.subject, o=self.object)


def facts(rng: Random, relations: list[Relation], polarities: list[Polarity]) -> list[Fact]:
    """One fact per relation and polarity, with subjects all different and objects all different."""
    subjects: set[str] = set()
    objects: set[str] = set()
    made = []
    for relation, polarity in zip(relations, polarities, strict=True):
        subject = rng.choice([s for s in relation.subjects if s not in subjects])
        object_ = rng.choice([o for o in relation.objects if o not in objects])
        subjects.add(subject)
        objects.add(object_)
        text = rng.choice(relation.stated[polarity]).format(s=subject, o=object_)
        made.append(Fact(relation, subject, object_, polarity, text))
    return made


def passage(stated: list[Fact]) -> str:
    """The facts as sentences."""
    return " ".join(f"{fact.text} ." for fact in stated)


def contrasted(rng: Random) -> bool:
    """Whether a row is of the kind that only its question decides."""
    return rng.random() < CONTRAST_SHARE


def told(rng: Random, relations: Sequence[Relation], count: int) -> list[Fact]:
    """Facts of which one will be asked about: of `count` subjects, or all of one."""
    if contrasted(rng):
        return facts(rng, rng.choices(relations, k=count), [1] * count)
    different = rng.sample(relations, min(count, len(relations)))
    subject = rng.choice(different[0].subjects)
    made = []
    for relation in different:
        object_ = rng.choice(relation.objects)
        text = rng.choice(relation.stated[1]).format(s=subject, o=object_)
        made.append(Fact(relation, subject, object_, 1, text))
    return made


def disputed(
    rng: Random, relation: Relation, polarities: tuple[Polarity, ...] = (1, -1)
) -> list[Fact]:
    """Facts of one relation that a verdict is asked about: one of each polarity, or one."""
    drawn = rng.sample(polarities, len(polarities) if contrasted(rng) else 1)
    return facts(rng, [relation] * len(drawn), drawn)


@dataclasses.dataclass(frozen=True)
class Dilemma:
    """A premise and two choices for its cause or effect, of which the one at `fits` is right."""

    premise: str
    question: str
    choices: tuple[str, str]
    fits: int


def dilemma(rng: Random) -> Dilemma:
    """Someone's state and what it makes them do; the wrong choice belongs elsewhere, or nowhere."""
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
    """What was with one or two candidates, one of which (`right`) then acted."""

    told: str
    act: str
    candidates: tuple[str, str]
    right: int


def scene(rng: Random, joint: str = "and") -> Scene:
    """Two people in different states, or one person and a thing that cannot act."""
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
    """One word of two senses in its context, or two in opposite ones: (word, is animal, clause)."""
    count = 2 if contrasted(rng) else 1
    alive = rng.sample((True, False), count)
    words = rng.sample(AMBIGUOUS, count)
    return [
        (word, animal, f"the {word} {rng.choice(ALIVE if animal else TOOL)}")
        for word, animal in zip(words, alive, strict=True)
    ]
