"""Tables of a user's own data, templates, the division into training and dev set, labels."""

import gzip

import pytest

from promptscale.data.tables import read_table
from promptscale.errors import ConfigError, DataError
from promptscale.prompting.examples import Example, digest, hold_out, read_examples, task_of
from promptscale.prompting.template import Template


def cells(path, kind=None) -> list[dict[str, str]]:
    return [dict(row.cells) for row in read_table(path, kind)]


def test_the_formats_give_the_same_rows(tmp_path):
    """Quotation marks, line breaks and tabs survive where the format can write them."""
    expected = [{"q": 'say "yes", please', "target": "1"}, {"q": "wörter", "target": "0"}]
    (tmp_path / "a.csv").write_text('q,target\r\n"say ""yes"", please",1\r\nwörter,0\r\n')
    (tmp_path / "a.tsv").write_text('q\ttarget\nsay "yes", please\t1\n\nwörter\t0\n')
    lines = '{"q": "say \\"yes\\", please", "target": 1}\n\n{"q": "w\\u00f6rter", "target": 0}\n'
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("a.csv", "a.tsv", "a.jsonl.gz"):
        rows = list(read_table(tmp_path / name))
        assert [{key: row.text(key) for key in row.cells} for row in rows] == expected
    (tmp_path / "b.csv").write_text('\ufeffinput\n"two\nlines"\n', encoding="utf-8")
    assert cells(tmp_path / "b.csv") == [{"input": "two\nlines"}]


def test_each_plain_line_is_a_row_also_an_empty_one(tmp_path):
    (tmp_path / "lines").write_text("one\n\nthree, 3")
    assert cells(tmp_path / "lines", "txt") == [{"input": x} for x in ("one", "", "three, 3")]


def test_a_table_is_read_row_by_row(tmp_path):
    """The first rows come although a later line is damaged."""
    (tmp_path / "a.jsonl").write_bytes(b'{"input": "x"}\n\xff\n')
    rows = read_table(tmp_path / "a.jsonl")
    assert next(rows).text("input") == "x"
    with pytest.raises(DataError, match="line 2: the text is not UTF-8"):
        next(rows)


def test_a_template_joins_columns(tmp_path):
    (tmp_path / "a.csv").write_text("q,the context,answer\nwho?,she did,she \n")
    template = Template("{{q}}: {q} context: {the context}")
    (example,) = read_examples(tmp_path / "a.csv", template, "answer")
    assert example[1:] == ("{q}: who? context: she did", "she")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{q", "cannot be read: expected '}'"),
        ("q", "names no column"),
        ("{}", "without the name of a column"),
        ("{q!r}", "only the name of a column"),
        ("{q:>9}", "only the name of a column"),
    ],
)
def test_a_wrong_template_is_refused(text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Template(text)


def examples(count: int) -> list[Example]:
    return [Example(f"line {n}", f"input {n}", "x") for n in range(count)]


def test_about_a_tenth_is_held_out_and_stays_so():
    """Neither the order nor further examples move an example to the other side."""
    train, dev = hold_out(examples(1000))
    assert len(train) + len(dev) == 1000 and 70 < len(dev) < 130
    assert {*hold_out(examples(1000)[::-1])[1]} == {*dev}
    assert {*dev} <= {*hold_out(examples(1200))[1]}


@pytest.mark.parametrize("count", range(2, 12))
def test_both_sides_have_an_example(count):
    assert all(hold_out(examples(count)))


def test_equal_examples_are_on_the_same_side():
    train, dev = hold_out(examples(40) * 3)
    assert len(dev) % 3 == 0 and not {e.input for e in train} & {e.input for e in dev}


@pytest.mark.parametrize("rows", [[], examples(1), examples(1) * 5])
def test_what_cannot_be_divided_is_refused(rows):
    with pytest.raises(DataError, match=r"a single example|no examples"):
        hold_out(rows)


def test_few_different_targets_are_labels():
    assert task_of("t", ["b", "a"] * 5).labels == ("a", "b")
    assert task_of("t", ["b", "a", "c"]).kind == "qa"
    assert task_of("t", [str(n % 21) for n in range(1000)]).kind == "qa"
    assert task_of("t", [str(n % 21) for n in range(1000)], "labels").kind == "classification"
    assert task_of("t", ["a", "b"] * 5, "text").metrics == ("f1", "em")


def test_the_digest_is_of_the_content():
    assert digest(examples(3)) == digest([e._replace(place="") for e in examples(3)])
    moved = [Example("", "a", "b"), Example("", "c", "d")]
    assert digest(moved) != digest([Example("", "a", "bc"), Example("", "", "d")])
