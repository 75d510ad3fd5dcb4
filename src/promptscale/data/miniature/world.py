"""The miniature world: short facts about a few people, and the questions that they answer.

Every fact has a subject, an object and a polarity, and every question is answered by looking up
one fact by its subject or its object. That is what a two-layer T5 of width 64 learns in minutes;
comparing two values is not, so no task asks for it.
"""

import dataclasses
from random import Random
from typing import Literal

Polarity = Literal[1, -1, 0]
POLARITIES: tuple[Polarity, ...] = (1, -1, 0)  # stated, denied, only possible

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
CONTRAST_SHARE = 0.4
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


def disputed(
    rng: Random, relation: Relation, polarities: tuple[Polarity, ...] = (1, -1)
) -> list[Fact]:
    """Facts of one relation that a verdict may be asked about.

    Two times in five one fact of each polarity, so that only the question tells which one counts;
    else a single fact. (Passages of the first kind alone say nothing without their question, and
    gradient descent finds no way in: a two-layer model stays at chance on them.)
    """
    if rng.random() < CONTRAST_SHARE:
        drawn = rng.sample(polarities, len(polarities))
    else:
        drawn = [rng.choice(polarities)]
    return facts(rng, [relation] * len(drawn), drawn)
