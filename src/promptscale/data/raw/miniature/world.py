"""The miniature world: short facts about a few people, and the questions that they answer.

Every fact has a subject, an object and a polarity. A question is answered by finding a fact by its
subject or by its object. A two-layer T5 of width 64 learns this in minutes. It does not learn to
compare two values, so no task needs that. The words and forms are in `language.yaml`.

In a share of the rows of every task (`CONTRAST`) the passage has facts with opposite answers, and
only the question decides between them: they need a look-up. The other rows are about a single fact
or person, and the kind of word that the question asks for is enough. Small models learn from them
first what is asked; look-ups are learned later, and by larger models.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

import yaml

Row = dict[str, Any]
Polarity = Literal[1, -1, 0]
Polarities = tuple[Polarity, ...]
POLARITIES: Polarities = (1, -1, 0)  # stated, denied, only possible

LANGUAGE = yaml.safe_load(Path(__file__).with_name("language.yaml").read_text(encoding="utf-8"))
CONTRAST = LANGUAGE["contrast"]  # by `corpus` and `tasks`, the share of rows that need a look-up


class Relation(NamedTuple):
    """A kind of fact and the ways to state it and to ask about it; see `language.yaml`."""

    subjects: list[str]
    objects: list[str]
    verbs: dict[Polarity, list[str]]
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


def relations(names: Sequence[str]) -> list[Relation]:
    """The relations of `language.yaml` with these names."""
    return [Relation(**LANGUAGE["relations"][name]) for name in names]


POLAR, PLAIN, FACTUAL = (relations(LANGUAGE[group]) for group in ("polar", "plain", "factual"))


class Fact(NamedTuple):
    """A stated fact; `text` is its form in the passage, without the full stop."""

    relation: Relation
    subject: str
    object: str
    polarity: Polarity
    text: str

    def put(self, form: str) -> str:
        """Fills a form of the relation with this fact's subject and object."""
        return form.format(s=self.subject, o=self.object)


def facts(rng: Random, relations: Sequence[Relation], polarities: list[Polarity]) -> list[Fact]:
    """A fact for each relation and polarity; no subject and no object occurs twice."""
    made: list[Fact] = []
    for relation, polarity in zip(relations, polarities, strict=True):
        subjects, objects = {fact.subject for fact in made}, {fact.object for fact in made}
        subject = rng.choice([s for s in relation.subjects if s not in subjects])
        object_ = rng.choice([o for o in relation.objects if o not in objects])
        made.append(relation.state(rng, subject, object_, polarity))
    return made


def passage(stated: Sequence[Fact]) -> str:
    """The facts as sentences."""
    return " ".join(f"{fact.text} ." for fact in stated)


def affirmed(rng: Random, relations: Sequence[Relation], count: int, contrast: float) -> list[Fact]:
    """Positive facts for a question: `count` facts of different subjects, or all of a subject."""
    if rng.random() < contrast:
        return facts(rng, rng.choices(relations, k=count), [1] * count)
    different = rng.sample(relations, min(count, len(relations)))
    subject = rng.choice(different[0].subjects)
    return [relation.state(rng, subject, rng.choice(relation.objects), 1) for relation in different]


def disputed(
    rng: Random, relation: Relation, polarities: Polarities, contrast: float
) -> list[Fact]:
    """Facts of a relation for a verdict: a fact of each polarity, or a single fact."""
    drawn = rng.sample(polarities, len(polarities) if rng.random() < contrast else 1)
    return facts(rng, [relation] * len(drawn), drawn)


class Dilemma(NamedTuple):
    """A premise and two choices for its cause or effect; the choice at index `fits` is right."""

    premise: str
    question: str
    choices: list[str]
    fits: int


def dilemma(rng: Random, contrast: float) -> Dilemma:
    """A person's state and the act that follows; the wrong choice fits another state or none."""
    person = rng.choice(LANGUAGE["people"])
    right, other = rng.sample(sorted(LANGUAGE["effects"].items()), 2)
    wrong = other if rng.random() < contrast else rng.choice(sorted(LANGUAGE["absurd"].items()))
    question = rng.choice(("cause", "effect"))
    forms = f"{person} was {{}} .", f"{person} {{}} ."  # of a state and of its act
    known, sought = (1, 0) if question == "cause" else (0, 1)
    choices = [forms[sought].format(words[sought]) for words in (right, wrong)]
    fits = rng.randrange(2)
    premise = forms[known].format(right[known])
    return Dilemma(premise, question, choices[::-1] if fits else choices, fits)


class Scene(NamedTuple):
    """The states of two candidates, and the act of the candidate at index `right`."""

    states: str
    act: str
    candidates: tuple[str, str]
    right: int


def scene(rng: Random, joint: str, contrast: float) -> Scene:
    """Two people in different states, or a person and a thing that cannot act."""
    effects = LANGUAGE["effects"]
    a, b = rng.sample(LANGUAGE["people"], 2)
    x, y = rng.sample(sorted(effects), 2)
    if rng.random() < contrast:
        right = rng.randrange(2)
        return Scene(f"{a} was {x} {joint} {b} was {y}", effects[(x, y)[right]], (a, b), right)
    thing = rng.choice(LANGUAGE["things"])
    if rng.random() < 0.5:
        return Scene(f"{a} was {x} {joint} saw {thing}", effects[x], (a, thing), 0)
    return Scene(f"{thing} were near {joint} {a} was {x}", effects[x], (thing, a), 1)


def senses(rng: Random, contrast: float) -> list[tuple[str, bool, str]]:
    """A word in a sense, or two words in opposite senses: (word, is animal, clause) for each."""
    alive = rng.sample((True, False), 2 if rng.random() < contrast else 1)
    words = rng.sample(LANGUAGE["ambiguous"], len(alive))
    return [
        (word, animal, f"the {word} {rng.choice(LANGUAGE['alive' if animal else 'tool'])}")
        for word, animal in zip(words, alive, strict=True)
    ]
