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

PEOPLE = (
    "anna", "ben", "cara", "dan", "ella", "finn", "gina", "hugo", "iris", "jack", "kate", "leo",
)  # fmt: skip
FOOD = ("soup", "rice", "bread", "cake", "fish", "tea", "milk", "corn")
SKILLS = ("swim", "sing", "dance", "cook", "read", "draw", "ski", "sew")
THINGS = ("lamp", "drum", "coat", "bike", "book", "ring", "clock", "knife")
PLACES = ("rome", "oslo", "cairo", "lima", "delhi", "paris", "tokyo", "quito")
JOBS = ("nurse", "pilot", "judge", "baker", "miner", "poet", "clerk", "guard")
ANIMALS = ("frog", "wolf", "duck", "hare", "goat", "bear")
PREY = ("flies", "grass", "worms", "seeds", "leaves", "nuts")
DRUGS = ("alpha", "beta", "gamma", "delta", "sigma", "omega")
DISEASES = ("fever", "cough", "rash", "pain", "gout", "flu")
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine")

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
        0: ("{s} may like {o}", "{s} might like {o}"),
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
        1: ("{s} can {o}", "{s} learned to {o}"),
        -1: ("{s} cannot {o}", "{s} failed to {o}"),
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
        1: ("{s} has a {o}", "{s} owns a {o}"),
        -1: ("{s} lost a {o}", "{s} lacks a {o}"),
        0: ("{s} may have a {o}", "{s} might have a {o}"),
    },
    whether="does {s} have a {o}",
    claim="{s} has a {o}",
    what="what does {s} have",
    who="who has a {o}",
)
LIVES = Relation(
    PEOPLE,
    PLACES,
    {1: ("{s} lives in {o}", "{s} moved to {o}")},
    whether="does {s} live in {o}",
    claim="{s} lives in {o}",
    what="where does {s} live",
    who="who lives in {o}",
)
WORKS = Relation(
    PEOPLE,
    JOBS,
    {1: ("{s} is a {o}", "{s} works as a {o}")},
    whether="is {s} a {o}",
    claim="{s} is a {o}",
    what="what is the job of {s}",
    who="who is a {o}",
)
EATS = Relation(
    ANIMALS,
    PREY,
    {1: ("the {s} eats {o}", "a {s} feeds on {o}")},
    whether="does the {s} eat {o}",
    claim="the {s} eats {o}",
    what="what does the {s} eat",
    who="which animal eats {o}",
)
TREATS = Relation(
    DRUGS,
    DISEASES,
    {1: ("{s} treats {o}", "{s} inhibits {o}")},
    whether="does {s} treat {o}",
    claim="{s} treats {o}",
    what="which disease is treated by {s}",
    who="which drug treats {o}",
)
SCORED = Relation(
    PEOPLE,
    NUMBERS,
    {1: ("{s} scored {o} points", "{s} made {o} points")},
    whether="did {s} score {o} points",
    claim="{s} scored {o} points",
    what="how many points did {s} score",
    who="who scored {o} points",
)

# What DuoRC's questions do: they ask in other words than the passage's.
ADORES = dataclasses.replace(LIKES, what="what is {s} fond of", who="who is fond of {o}")
DWELLS = dataclasses.replace(LIVES, what="what is the home of {s}", who="whose home is {o}")

POLAR = (LIKES, CAN, HAS)
FACTUAL = (LIKES, CAN, HAS, LIVES, WORKS)


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


def contrast(
    rng: Random, relation: Relation, polarities: tuple[Polarity, ...] = (1, -1)
) -> list[Fact]:
    """Facts of one relation, one of each polarity, in random order.

    Any of them may be asked about, so the passage without the question says nothing of the answer.
    """
    return facts(rng, [relation] * len(polarities), rng.sample(polarities, len(polarities)))
