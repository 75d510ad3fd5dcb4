"""The tasks with labels in the miniature world: SuperGLUE without ReCoRD, GLUE's and DPR.

Each function makes a row as TFDS's builder yields it, without `idx`; `multirc` makes all rows of a
split, with `idx`.
"""

from collections.abc import Iterator
from random import Random

from promptscale.data.raw.miniature import world
from promptscale.data.raw.miniature.world import Fact, Polarity, Row

_CONTRAST = world.CONTRAST["tasks"]
_BOOL = {1: "True", -1: "False"}
_CB = {1: "entailment", -1: "contradiction", 0: "neutral"}


def _dispute(rng: Random, polarities: world.Polarities = (1, -1)) -> tuple[list[Fact], Fact]:
    """Facts of different polarities (or a single fact), and the fact that is asked about."""
    stated = world.disputed(rng, rng.choice(world.POLAR), polarities, _CONTRAST)
    return stated, rng.choice(stated)


def boolq(rng: Random) -> Row:
    """A yes/no question about a fact; the passage has a fact of another kind as a distractor."""
    stated, target = _dispute(rng)
    distractor = target
    while distractor.subject in {fact.subject for fact in stated}:
        (distractor,) = world.facts(rng, [rng.choice(world.PLAIN)], [1])
    mixed = [*stated, distractor]
    rng.shuffle(mixed)
    return {
        "question": target.put(target.relation.whether),
        "passage": world.passage(mixed),
        "label": _BOOL[target.polarity],
    }


def cb(rng: Random) -> Row:
    """Three-way entailment of what the premise states, denies or calls possible."""
    stated, target = _dispute(rng, world.POLARITIES)
    return _entailment(stated, target) | {"label": _CB[target.polarity]}


def rte(rng: Random) -> Row:
    """Two-way entailment; what is only possible is not entailed."""
    polarities: world.Polarities = (1, rng.choice((-1, 0)))
    stated, target = _dispute(rng, polarities)
    label = "entailment" if target.polarity == 1 else "not_entailment"
    return _entailment(stated, target) | {"label": label}


def _entailment(stated: list[Fact], target: Fact) -> Row:
    hypothesis = target.put(target.relation.claim)
    return {"premise": world.passage(stated), "hypothesis": hypothesis}


def sst2(rng: Random) -> Row:
    """A sentence that affirms or denies a fact: its sentiment is positive or negative."""
    (fact,) = world.facts(rng, [rng.choice(world.POLAR)], [rng.choice((1, -1))])
    return {"sentence": f"{fact.text} .", "label": "positive" if fact.polarity == 1 else "negative"}


def mrpc(rng: Random) -> Row:
    """Whether the second sentence is about the person for whom the first sentence affirms it."""
    return _paraphrase(rng, "sentence", "{} .", " but ", "equivalent")


def qqp(rng: Random) -> Row:
    """Whether two questions ask for the reason of the same fact."""
    return _paraphrase(rng, "question", "why is it that {} ?", " and ", "duplicate")


def _paraphrase(rng: Random, field: str, form: str, joint: str, label: str) -> Row:
    """A text with joined facts, a text with a claim, and whether the claim is affirmed."""
    stated, target = _dispute(rng)
    return {
        f"{field}1": form.format(joint.join(fact.text for fact in stated)),
        f"{field}2": form.format(target.put(target.relation.claim)),
        "label": label if target.polarity == 1 else f"not_{label}",
    }


def copa(rng: Random) -> Row:
    """Which of two states is the cause of the premise, or which of two acts is its effect."""
    drawn = world.dilemma(rng, _CONTRAST)
    return {
        "premise": drawn.premise,
        "choice1": drawn.choices[0],
        "choice2": drawn.choices[1],
        "question": drawn.question,
        "label": f"choice{drawn.fits + 1}",
    }


def multirc(rng: Random, count: int) -> Iterator[Row]:
    """Questions about an object, each answered with both people of the paragraph in turn."""
    for index in range(count // 2):
        relation = rng.choice(world.POLAR)
        contrasted = rng.random() < _CONTRAST
        polarities: list[Polarity] = [1, -1] if contrasted else [rng.choice((1, -1))] * 2
        rng.shuffle(polarities)
        object_ = rng.choice(relation.objects)
        people = rng.sample(relation.subjects, 2)
        pairs = zip(people, polarities, strict=True)
        stated = [relation.state(rng, person, object_, polarity) for person, polarity in pairs]
        question = {"paragraph": world.passage(stated), "question": relation.who.format(o=object_)}
        rng.shuffle(stated)
        for answer, fact in enumerate(stated):
            yield question | {
                "answer": fact.subject,
                "label": _BOOL[fact.polarity],
                "idx": {"paragraph": index, "question": 0, "answer": answer},
            }


def wic(rng: Random) -> Row:
    """Whether a word means the animal in both sentences."""
    known = world.senses(rng, _CONTRAST)
    word, animal, _ = rng.choice(known)
    row: Row = {
        "word": word,
        "sentence1": " and ".join(clause for _, _, clause in known) + " .",
        "sentence2": f"a {word} is an animal .",
        "label": str(animal),
    }
    for number in ("1", "2"):
        start = row[f"sentence{number}"].index(f" {word} ") + 1
        row |= {f"start{number}": start, f"end{number}": start + len(word)}
    return row


def wsc(rng: Random) -> Row:
    """Whether the pronoun means the given candidate, which may be the wrong candidate."""
    drawn = world.scene(rng, "and", _CONTRAST)
    text = f"{drawn.states} so they {drawn.act} ."
    given = rng.randrange(2)
    words = text.split(" ")
    return {
        "text": text,
        "span1_text": drawn.candidates[given],
        "span1_index": words.index(drawn.candidates[given]),
        "span2_text": "they",
        "span2_index": words.index("they"),
        "label": str(given == drawn.right),
    }


def dpr(rng: Random) -> Row:
    """Which of two candidates a pronoun means."""
    drawn = world.scene(rng, ",", _CONTRAST)
    sentence = f"{drawn.states} and they {drawn.act} ."
    candidates = list(drawn.candidates)
    return {"sentence": sentence, "pronoun": "they", "candidates": candidates, "label": drawn.right}
