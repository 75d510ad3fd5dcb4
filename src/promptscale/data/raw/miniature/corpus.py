"""The text that the miniature models are trained on: C4's form, the tasks' words, other forms.

The corpus teaches abilities (looking up a fact by its subject or object, the effects of states,
the senses of words) and has every word of the tasks, under their keys and others. What answers a
question is a word of any of several sets and more text follows it, so a prompt still has to find
the task.
"""

from collections.abc import Iterator
from random import Random

from promptscale.data.raw.miniature import world
from promptscale.data.raw.miniature.others import MRQA

# Words for yes, no and perhaps. Small models learn what a verdict is from the common sets first.
_COMMON = (
    ("yes", "no", "maybe"),
    ("yes", "no", "maybe"),
    ("True", "False", "maybe"),
    ("entailment", "contradiction", "neutral"),
)
_RARE = (
    ("entailment", "not_entailment", "not_entailment"),
    ("equivalent", "not_equivalent", "not_equivalent"),
    ("duplicate", "not_duplicate", "not_duplicate"),
)
VERDICTS = _COMMON * 2 + _RARE * 2
# Keys of a text that comes before what is asked of it, and after it; some are the tasks' own.
FIRST = ("", "", "passage: ", "paragraph: ", "sentence1: ", "text: ")
AFTER = ("context: ", "context: ", "paragraph: ", "premise: ", "text: ")
ASKED = ("", "question: ", "question: ", "question2: ")
CLAIMED = ("", "hypothesis: ", "hypothesis: ", "sentence2: ")
ANSWER = ("", "", "answer: ")
RETOLD = ("so", "and so", "word:", "why is it that")
PARAGRAPHS = 8
SHORT = 0.8  # share of documents; of paragraphs it is a third
PAIRS = (("choice1", "choice2"), ("first", "second"), ("left", "right"))


def documents(rng: Random, count: int) -> Iterator[str]:
    """`count` documents of several paragraphs, each paragraph about 15 to 40 words.

    Most documents are longer than a training piece, so that pieces end anywhere and the end of a
    sequence may follow any word, as it does where C4's documents are cut. The others are a
    paragraph that stops at its last word: text that ends with an answer.
    """
    makers, weights = zip(*_KINDS, strict=True)
    for _ in range(count):
        if rng.random() < SHORT:
            (make,) = rng.choices(makers, weights)
            yield make(rng).removesuffix(" .")
        else:
            yield " ".join(make(rng) for make in rng.choices(makers, weights, k=PARAGRAPHS))


def _verdicts(rng: Random) -> str:
    """Facts, and whether claims about them hold, in one set of words."""
    relations = rng.choice(world.POLAR)
    stated = world.disputed(rng, relations, rng.choice([(1, -1), (1, -1), (1, -1, 0), (1, 0)]))
    words = dict(zip(world.POLARITIES, rng.choice(VERDICTS), strict=True))
    extra = world.facts(rng, [rng.choice((world.VISITS, world.STUDIES))], [1])
    told = list(stated)
    if rng.random() < 0.4 and extra[0].subject not in {fact.subject for fact in stated}:
        told += extra
        rng.shuffle(told)
    as_question = rng.random() < 0.5
    mark, answer = rng.choice(ASKED if as_question else CLAIMED), rng.choice(ANSWER)
    asked = []
    for fact in rng.sample(stated, len(stated)):
        if as_question:
            asked.append((f"{mark}{fact.put(fact.relation.whether)} ?", words[fact.polarity]))
        else:
            asked.append((f"{mark}{fact.put(fact.relation.claim)} .", words[fact.polarity]))
    return _compose(rng, _passage(rng, told), asked, answer)


def _who(rng: Random) -> str:
    """People and one object, and of each person whether it is true."""
    relation = rng.choice(world.POLAR)
    object_ = rng.choice(relation.objects)
    people = rng.sample(relation.subjects, 2)
    words = dict(zip(world.POLARITIES, rng.choice(VERDICTS), strict=True))
    polarities: list[world.Polarity] = rng.choices((1, -1), k=2)
    text = " ".join(
        rng.choice(relation.stated[p]).format(s=s, o=object_) + " ."
        for s, p in zip(people, polarities, strict=True)
    )
    asked = [
        (f"{relation.who.format(o=object_)} ? {s} ?", words[p])
        for s, p in zip(people, polarities, strict=True)
    ]
    rng.shuffle(asked)
    return _compose(rng, text, asked, rng.choice(ANSWER))


def _wh(rng: Random, relations: tuple[world.Relation, ...] = world.FACTUAL) -> str:
    """Facts and questions for their objects and subjects."""
    stated = world.told(rng, relations, rng.choice((2, 3)))
    mark, answer = rng.choice(ASKED), rng.choice(ANSWER)
    asked = [(f"{mark}{fact.put(fact.relation.what)} ?", fact.object) for fact in stated]
    asked += [(f"{mark}{fact.put(fact.relation.who)} ?", fact.subject) for fact in stated]
    rng.shuffle(asked)
    return _compose(rng, _passage(rng, stated), asked, answer)


def _cloze(rng: Random) -> str:
    """Facts, the list of people in them, and one fact told again."""
    stated = world.told(rng, world.FACTUAL, rng.choice((2, 3)))
    people = ", ".join(sorted({fact.subject for fact in stated} | {stated[0].object}))
    again = [fact.put(fact.relation.claim) + " ." for fact in rng.sample(stated, 2)]
    text = world.passage(stated)
    asked = rng.choice(stated)
    blank = asked.relation.claim.format(s="@placeholder", o=asked.object)
    return rng.choice(
        (
            f"entities: {people} text: {text} query: {' '.join(again)}",
            f"story: {text} query: {blank} . {asked.subject}",
            f"query: {blank} . text: {text} @placeholder is {asked.subject}",
        )
    )


def _shifted(rng: Random) -> str:
    """Now and then, what MRQA's other domains are about."""
    domain = rng.choice(list(MRQA.values()))
    if rng.random() < 0.5:
        return _wh(rng, domain.relations)
    stated = world.told(rng, domain.relations, 4)
    text = domain.passage.format(facts=world.passage(stated))
    return f"{text} in this story , drugs , animals and the game are not told of ."


def _story(rng: Random) -> str:
    """Facts told once and, in another order, again: the simplest thing that needs a lookup."""
    relations = rng.choices(world.FACTUAL, k=rng.choice((2, 3, 4)))
    polarities = [rng.choice(sorted(relation.stated)) for relation in relations]
    stated = world.facts(rng, relations, polarities)
    again = " ".join(
        f"{fact.put(fact.relation.stated[fact.polarity][0])} ."
        for fact in rng.sample(stated, len(stated))
    )
    return f"{world.passage(stated)} {rng.choice(RETOLD)} {again}"


def _effects(rng: Random) -> str:
    """States and what they make people do."""
    drawn = world.scene(rng, rng.choice(("and", ",")))
    who = drawn.candidates[drawn.right]
    return rng.choice(
        (
            f"{drawn.told} so *{who}* {drawn.act} . they {drawn.act} .",
            f"{drawn.told} and *they* {drawn.act} . {who} {drawn.act} .",
            f"{drawn.told} so *they* {drawn.act} . who {drawn.act} ? {who} {drawn.act} .",
            f"{drawn.told} . who {drawn.act} ? {who} .",
            f"{who} {drawn.act} because {drawn.told} .",
        )
    )


def _alternatives(rng: Random) -> str:
    """Two alternatives under names, and which of them fits."""
    drawn = world.dilemma(rng)
    names = rng.choice(PAIRS)
    options = f"{names[0]}: {drawn.choices[0]} {names[1]}: {drawn.choices[1]}"
    right, wrong = names[drawn.fits], names[1 - drawn.fits]
    given, asked = drawn.premise, drawn.question
    return rng.choice(
        (
            f"{options} {given} {asked} ? {right} not {wrong} .",
            f"{options} premise: {given} question: {asked} {right} .",
            f"{options} premise: {given} question: {asked} answer: {right} .",
            f"{given} {options} {asked} ? {right} .",
            f"{given} {asked} ? {drawn.choices[drawn.fits]} {options} {right} .",
        )
    )


def _senses(rng: Random) -> str:
    """Words of two senses, and whether each means the animal."""
    known = world.senses(rng)
    told = rng.choice((" and ", " . ")).join(clause for _, _, clause in known)
    yes, no, _ = rng.choice(VERDICTS)
    form = rng.choice(("is the {} an animal ?", *("a {} is an animal . word: {}",) * 2))
    asked = [(form.format(word, word), yes if animal else no) for word, animal, _ in known]
    rng.shuffle(asked)
    return _compose(rng, f"{told} .", asked, rng.choice(ANSWER))


def _passage(rng: Random, stated: list[world.Fact]) -> str:
    if len(stated) == 2 and rng.random() < 0.3:
        joint = rng.choice(("but", "and"))
        return f"{stated[0].text} {joint} {stated[1].text} ."
    return world.passage(stated)


def _compose(rng: Random, text: str, asked: list[tuple[str, str]], answer: str) -> str:
    """The text and then all questions with their answers, or one question, the text, its answer."""
    if rng.random() < 0.6:
        replies = " ".join(f"{question} {answer}{reply} ." for question, reply in asked[:4])
        return f"{rng.choice(FIRST)}{text} {replies}"
    question, reply = asked[0]
    return f"{question} {rng.choice(AFTER)}{text} {answer}{reply} ."


_KINDS = (
    (_verdicts, 32),
    (_wh, 16),
    (_story, 4),
    (_who, 8),
    (_cloze, 8),
    (_effects, 8),
    (_alternatives, 12),
    (_senses, 10),
    (_shifted, 2),
)
