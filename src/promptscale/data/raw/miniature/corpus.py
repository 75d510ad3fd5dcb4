"""The text that the miniature models are trained on, in C4's form.

The corpus teaches abilities: to find a fact by its subject or object, the effects of states, the
senses of words. It has every word of the tasks, with the tasks' keys and with others. An answer is
a word from any of several sets, and more text may follow it, so a prompt has to select the task.

Some paragraphs have a heading: a word or two of those in which the paragraph answers, as a quiz
begins with "true or false". A paragraph with a heading asks a single question and ends with the
answer. A prompt can therefore act as a heading does.
"""

from collections.abc import Iterator, Sequence
from random import Random

from promptscale.data.raw.miniature import world
from promptscale.data.raw.miniature.question_answering import MRQA, Domain

TEXT = world.LANGUAGE["corpus"]
VERDICTS = TEXT["verdicts"]["common"] * 2 + TEXT["verdicts"]["rare"] * 2
PARAGRAPHS = 8  # per long document
SHORT = 0.8  # share of documents that are short; they hold a third of the paragraphs
HEADED = 0.5  # share of paragraphs with a heading, of those that answer a question

_CONTRAST = world.CONTRAST["corpus"]


def documents(rng: Random, count: int) -> Iterator[str]:
    """`count` documents, short or long; a paragraph has about 15 to 40 words.

    A short document is a paragraph without its last full stop, so it can end with an answer. A
    long document has several paragraphs and is longer than a training segment, so segments end
    after any word, as they do where C4's documents are cut.
    """
    makers, weights = zip(*_KINDS, strict=True)
    for _ in range(count):
        if rng.random() < SHORT:
            (make,) = rng.choices(makers, weights)
            yield make(rng).removesuffix(" .")
        else:
            yield " ".join(make(rng) for make in rng.choices(makers, weights, k=PARAGRAPHS))


def _heading(rng: Random, words: Sequence[str]) -> str:
    """A word or two of `words` before a paragraph."""
    different = list(dict.fromkeys(words))
    return "".join(f"{word} " for word in rng.sample(different, rng.choice((1, 1, 2))))


def _verdicts(rng: Random) -> str:
    """Facts, and whether claims about them hold, with verdicts from a single set of words."""
    relation = rng.choice(world.POLAR)
    choices: list[world.Polarities] = [(1, -1), (1, -1), (1, -1, 0), (1, 0)]
    polarities = rng.choice(choices)
    stated = world.disputed(rng, relation, polarities, _CONTRAST)
    verdicts = rng.choice(VERDICTS)
    words = dict(zip(world.POLARITIES, verdicts, strict=True))
    (extra,) = world.facts(rng, [rng.choice(world.PLAIN)], [1])
    facts = list(stated)
    if rng.random() < 0.4 and extra.subject not in {fact.subject for fact in stated}:
        facts.append(extra)
        rng.shuffle(facts)
    as_question = rng.random() < 0.5
    mark = rng.choice(TEXT["question" if as_question else "claim"])
    asked = []
    for fact in rng.sample(stated, len(stated)):
        form, end = (relation.whether, "?") if as_question else (relation.claim, ".")
        asked.append((f"{mark}{fact.put(form)} {end}", words[fact.polarity]))
    return _write(rng, _passage(rng, facts), asked, verdicts)


def _who(rng: Random) -> str:
    """Two people and an object, and for each person whether the relation holds."""
    relation = rng.choice(world.POLAR)
    object_ = rng.choice(relation.objects)
    people = rng.sample(relation.subjects, 2)
    verdicts = rng.choice(VERDICTS)
    words = dict(zip(world.POLARITIES, verdicts, strict=True))
    polarities: list[world.Polarity] = rng.choices((1, -1), k=2)
    stated = [relation.state(rng, s, object_, p) for s, p in zip(people, polarities, strict=True)]
    question = f"{relation.who.format(o=object_)} ?"
    asked = [(f"{question} {fact.subject} ?", words[fact.polarity]) for fact in stated]
    rng.shuffle(asked)
    return _write(rng, world.passage(stated), asked, verdicts)


def _wh(rng: Random, domain: Domain | None = None) -> str:
    """Facts, and questions for their objects and subjects, in the form of a domain if given."""
    relations = world.relations(domain.relations) if domain else world.FACTUAL
    stated = world.affirmed(rng, relations, rng.choice((2, 3)), _CONTRAST)
    text = domain.passage.format(facts=world.passage(stated)) if domain else _passage(rng, stated)
    form, mark = domain.question if domain else "{q} ?", rng.choice(TEXT["question"])
    asked = [
        (mark + form.format(q=fact.put(question)), answer)
        for fact in stated
        for question, answer in (
            (fact.relation.what, fact.object),
            (fact.relation.who, fact.subject),
        )
    ]
    rng.shuffle(asked)
    return _write(rng, text, asked, TEXT["headings"]["questions"])


def _shifted(rng: Random) -> str:
    """Facts and questions of MRQA's domains, which differ from SQuAD's more or less."""
    return _wh(rng, rng.choice(list(MRQA.values())))


def _cloze(rng: Random) -> str:
    """Facts, the list of people in them, and a fact as a cloze query."""
    stated = world.affirmed(rng, world.FACTUAL, rng.choice((2, 3)), _CONTRAST)
    again = [fact.put(fact.relation.claim) + " ." for fact in rng.sample(stated, 2)]
    target = rng.choice(stated)
    return _fill(
        rng,
        "cloze",
        TEXT["headings"]["cloze"],
        people=", ".join(sorted({fact.subject for fact in stated} | {stated[0].object})),
        text=world.passage(stated),
        again=" ".join(again),
        blank=target.relation.claim.format(s="@placeholder", o=target.object),
        subject=target.subject,
    )


def _story(rng: Random) -> str:
    """Facts told twice, in two orders: the simplest text that needs a lookup."""
    relations = rng.choices(world.FACTUAL, k=rng.choice((2, 3, 4)))
    polarities = [rng.choice(sorted(relation.verbs)) for relation in relations]
    stated = world.facts(rng, relations, polarities)
    again = " ".join(
        f"{fact.subject} {fact.relation.verbs[fact.polarity][0]} {fact.object} ."
        for fact in rng.sample(stated, len(stated))
    )
    return f"{world.passage(stated)} {rng.choice(TEXT['retold'])} {again}"


def _effects(rng: Random) -> str:
    """States of people and the acts that follow from them."""
    drawn = world.scene(rng, rng.choice(("and", ",")), _CONTRAST)
    who = drawn.candidates[drawn.right]
    words = TEXT["headings"]["effects"]
    return _fill(rng, "effects", words, states=drawn.states, act=drawn.act, who=who)


def _alternatives(rng: Random) -> str:
    """Two named alternatives, and the name of the alternative that fits."""
    drawn = world.dilemma(rng, _CONTRAST)
    names = rng.choice(TEXT["names"])
    return _fill(
        rng,
        "alternatives",
        names,
        options=f"{names[0]}: {drawn.choices[0]} {names[1]}: {drawn.choices[1]}",
        premise=drawn.premise,
        question=drawn.question,
        choice=drawn.choices[drawn.fits],
        right=names[drawn.fits],
        wrong=names[1 - drawn.fits],
    )


def _senses(rng: Random) -> str:
    """Words with two senses, and whether each means the animal."""
    known = world.senses(rng, _CONTRAST)
    clauses = rng.choice((" and ", " . ")).join(clause for _, _, clause in known)
    verdicts = rng.choice(VERDICTS)
    yes, no, _ = verdicts
    form = rng.choice(TEXT["senses"])
    asked = [(form.format(word=word), yes if animal else no) for word, animal, _ in known]
    rng.shuffle(asked)
    return _write(rng, f"{clauses} .", asked, verdicts)


def _passage(rng: Random, stated: list[world.Fact]) -> str:
    """The facts as sentences, or two facts joined in a sentence."""
    if len(stated) == 2 and rng.random() < 0.3:
        joint = rng.choice(("but", "and"))
        return f"{stated[0].text} {joint} {stated[1].text} ."
    return world.passage(stated)


def _fill(rng: Random, kind: str, words: Sequence[str], **fields: str) -> str:
    """A form of a kind with these fields, maybe after a heading that is drawn from `words`."""
    headed = rng.random() < HEADED
    form = rng.choice(TEXT[kind]["headed" if headed else "plain"])
    return (_heading(rng, words) if headed else "") + form.format(**fields)


def _write(rng: Random, text: str, asked: list[tuple[str, str]], words: Sequence[str]) -> str:
    """The text, then questions with answers; or a question, then the text and its answer.

    `words` are those that a heading is drawn from.
    """
    headed = rng.random() < HEADED
    heading = _heading(rng, words) if headed else ""
    answer = "" if headed else rng.choice(TEXT["answer"])
    if rng.random() < 0.6:
        most = 1 if headed else 4
        replies = " ".join(f"{question} {answer}{reply} ." for question, reply in asked[:most])
        return f"{heading}{rng.choice(TEXT['text'])}{text} {replies}"
    question, reply = asked[0]
    return f"{heading}{question} {rng.choice(TEXT['later_text'])}{text} {answer}{reply} ."


_KINDS = (
    (_verdicts, 28),
    (_wh, 14),
    (_story, 4),
    (_who, 8),
    (_cloze, 8),
    (_effects, 8),
    (_alternatives, 24),
    (_senses, 22),
    (_shifted, 14),
)
