"""Corpora and task files that must be refused."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from promptscale.config.schema import Data
from promptscale.config.tasks import task
from tests.robustness.case import Case

_ROW = {"text": "a"}
_CB = {"premise": "a", "hypothesis": "b", "label": "neutral", "idx": 0}
WEB_PAGE = b"<!DOCTYPE html>\n<title>404</title>\n"


def json_lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _corpus(what: str, content: bytes | None, sentence: str) -> Case:
    """A corpus whose substitute has this content (None: no file)."""

    def read(folder: Path) -> None:
        substitutes = {"c4/en/train": "c4.jsonl"}
        data = Data(data_dir="tfds", local_files=str(folder), substitutes=substitutes)
        _read_texts("c4/en:2.2.0", data)

    return Case(f"corpus: {what}", read, sentence, writes("c4.jsonl", content))


def _read_texts(corpus: str, data: Data) -> None:
    from promptscale.data.raw.sources import read_texts

    list(read_texts(corpus, "train", data))


def writes(name: str, content: bytes | None) -> Callable[[Path], object]:
    return lambda folder: content is not None and (folder / name).write_bytes(content)


def _opens(name: str, split: str = "validation", **settings: Any) -> Callable[[Path], object]:
    """Opens the split of a task whose files are in the folder."""

    def open_it(folder: Path) -> None:
        from promptscale.data.raw.sources import open_split

        data = Data(**{"data_dir": "tfds", "local_files": str(folder)} | settings)
        with open_split(task(name), split, data):
            pass

    return open_it


def _task_file(name: str, what: str, content: bytes, sentence: str) -> Case:
    """A task whose validation split's substitute has this content."""
    use = _opens(name, substitutes={f"{name}/validation": "rows"})
    return Case(f"{name}: {what}", use, sentence, writes("rows", content))


def _cb(what: str, sentence: str, **changed: Any) -> Case:
    """A file of CB whose second row has changed fields (None: removed)."""
    row = {key: value for key, value in (_CB | {"idx": 1} | changed).items() if value is not None}
    return _task_file("cb", what, json_lines(_CB, row), sentence)


def _damaged_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "CB.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("CB/val.jsonl", json_lines(*[_CB] * 1000))
    content = bytearray((folder / "CB.zip").read_bytes())
    content[60:80] = b"\xff" * 20
    (folder / "CB.zip").write_bytes(content)


_MRPC = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
_SQUAD = {"id": "1", "question": "q", "answers": [{"text": "a", "answer_start": 0}]}
_MRQA = {"header": {"dataset": "BioASQ"}}


def _squad(question: dict) -> bytes:
    paragraph = {"context": "c", "qas": [question]}
    return json.dumps({"data": [{"paragraphs": [paragraph]}]}).encode()


def _mrqa(answers: list) -> dict:
    question = {"qid": "1", "question": "q", "question_tokens": [], "detected_answers": []}
    return {"context": "c", "context_tokens": [], "qas": [question | {"answers": answers}]}


CASES = [
    # The corpus.
    _corpus(
        "missing", None, r"substitutes\.c4/en/train names .*c4\.jsonl, but there is no such file"
    ),
    _corpus("empty", b"", r"c4\.jsonl is empty"),
    _corpus("a web page", WEB_PAGE, "is a web page, such as a failed download leaves"),
    _corpus("a Parquet file", b"PAR1\x00", "is a Parquet file"),
    _corpus(
        "a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"
    ),
    _corpus(
        "no field text", json_lines(_ROW, {"body": "a"}), r"c4\.jsonl, line 2: .* no field 'text'"
    ),
    _corpus("text is null", json_lines({"text": None}), "line 1: .* no field 'text' with a string"),
    _corpus(
        "text is a number", json_lines({"text": 3}), "line 1: .* no field 'text' with a string"
    ),
    _corpus("a list", json_lines(_ROW, ["a"]), "line 2: the text is not a JSON object"),
    _corpus("plain text", b"a\n", "line 1: the text is not JSON"),
    _corpus(
        "cut off", json_lines(_ROW) + b'{"text": "a', "line 2: the text is not JSON, or it is cut"
    ),
    _corpus("deeply nested", b"[" * 100_000, "line 1: the text is not JSON"),
    _corpus("Latin-1", json_lines(_ROW) + b'{"text": "\xfc"}\n', "line 2: the text is not UTF-8"),
    _corpus("UTF-16", '{"text": "a"}'.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
    _corpus(
        "half a surrogate pair", b'{"text": "a\\ud83d"}', "line 1: .* half of a surrogate pair"
    ),
    _corpus("encoded surrogates", b'{"text": "\xed\xa0\xbd"}', "line 1: the text is not UTF-8"),
    _corpus("cut gzip", gzip.compress(json_lines(_ROW) * 99)[:-9], "is damaged after line"),
    _corpus("damaged gzip", b"\x1f\x8b" + b"a" * 99, "is damaged after line 0"),
    Case(
        "corpus: not a dataset of TFDS",
        lambda folder: _read_texts("nonsense:1.0.0", Data(data_dir=str(folder))),
        "nonsense:1.0.0 is not in",
    ),
    Case(
        "corpus: no name of TFDS",
        lambda folder: _read_texts("c4 en:1", Data(data_dir=str(folder))),
        "c4 en:1 (is not in|cannot be read from)",
    ),
    # The files of tasks.
    Case("local_files: missing", _opens("cb", local_files="absent"), "there is no such folder"),
    Case("local_files: empty folder", _opens("cb"), r"CB \(validation\) is incomplete"),
    Case("test split", _opens("cb", "test"), "CB has no split 'test'"),
    Case(
        "substitute: missing",
        _opens("cb", substitutes={"cb/validation": "absent"}),
        "substitutes.cb/validation names .*absent, but there is no such file",
    ),
    Case(
        "substitute: without local_files",
        _opens("cb", local_files=None, substitutes={"cb/validation": "x"}),
        "needs data.local_files",
    ),
    Case("zip: not a zip", _opens("cb"), "CB.zip is damaged or lacks", writes("CB.zip", WEB_PAGE)),
    Case("zip: damaged", _opens("cb"), "CB.zip is damaged or lacks", _damaged_zip),
    _task_file("cb", "empty", b"", "rows is empty"),
    _task_file("cb", "blank lines only", b"\n\n", "rows has no rows"),
    _task_file("cb", "a web page", WEB_PAGE, "is a web page"),
    _task_file("cb", "Latin-1", b'{"premise": "\xfc"}\n', "line 1: the text is not UTF-8"),
    _task_file(
        "cb", "cut off", json_lines(_CB)[:-9], "line 1: the text is not JSON, or it is cut off"
    ),
    _task_file("cb", "a table", b"premise\thypothesis\n", "line 1: the text is not JSON"),
    _task_file(
        "cb", "of another task", json_lines({"idx": 0, "question": "a"}), "lacks the field 'prem"
    ),
    _cb("no label", "line 2 lacks the field 'label'; is this an unlabelled split", label=None),
    _cb(
        "label of another task", "the field 'label' is 'no'; it should be 'entailment'", label="no"
    ),
    _cb("label -1", "line 2: the field 'label' is -1; it should be 'entailment'", label=-1),
    _cb("empty text", "line 2: the field 'premise' is ''", premise=""),
    _cb("text of another type", "line 2: the field 'hypothesis' is 7", hypothesis=7),
    _cb("an idx twice", "line 2 has the idx 0, as has .*, line 1", idx=0),
    _cb("no idx", "line 2 lacks the field 'idx'", idx=None),
    _task_file(
        "boolq",
        "label is a number",
        json_lines({"question": "a", "passage": "b", "idx": 0, "label": 1}),
        "line 1: the field 'label' is 1; it should be a valid boolean",
    ),
    _task_file(
        "record",
        "no answers",
        json_lines(
            {
                "idx": 0,
                "passage": {"text": "a", "entities": []},
                "qas": [{"idx": 0, "query": "b", "answers": []}],
            }
        ),
        "line 1: the field 'qas.0.answers' is .*; is this an unlabelled split",
    ),
    _task_file(
        "multirc",
        "a question without answers",
        json_lines(
            {
                "idx": 0,
                "passage": {"text": "a", "questions": [{"idx": 0, "question": "b", "answers": []}]},
            }
        ),
        "line 1: the field 'passage.questions.0.answers'",
    ),
    _task_file(
        "wsc",
        "no spans",
        json_lines({"idx": 0, "text": "a", "label": True, "target": {}}),
        "line 1 lacks the field 'target.span1_index'",
    ),
    _task_file("squad", "JSON lines", json_lines(_SQUAD, _SQUAD), "rows: the text is not JSON"),
    _task_file("squad", "a list", b"[]", "rows: the text is not a JSON object"),
    _task_file("squad", "cut off", _squad(_SQUAD)[:-5], "rows: the text is not JSON, or it is cut"),
    _task_file(
        "squad",
        "no answers",
        _squad(_SQUAD | {"answers": []}),
        r"the field 'data\.0\.paragraphs\.0\.qas\.0\.answers' is \[\]",
    ),
    _task_file("bioasq", "no header", json_lines(_mrqa(["a"])), "line 1: the first line of MRQA's"),
    _task_file("bioasq", "header only", json_lines(_MRQA), "rows has no rows"),
    _task_file(
        "bioasq", "no answers", json_lines(_MRQA, _mrqa([])), "line 2: the field 'qas.0.answers'"
    ),
    _task_file("mrpc", "commas", _MRPC.replace("\t", ",").encode(), "lacks the column 'Quality'"),
    _task_file(
        "mrpc",
        "no labels",
        b"index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\ta\tb\n",
        "lacks the column 'Quality'.*is this an unlabelled split",
    ),
    _task_file("mrpc", "header only", _MRPC.encode(), "rows has a header, but no rows"),
    _task_file("mrpc", "a lost cell", f"{_MRPC}1\t2\t3\ta\n".encode(), "line 2 has 4 cells"),
    _task_file(
        "mrpc", "other labels", f"{_MRPC}yes\t2\t3\ta\tb\n".encode(), "line 2: Quality is 'yes'"
    ),
    _task_file("qqp", "MRPC's columns", _MRPC.encode(), "lacks the column 'is_duplicate'"),
    _task_file("dpr", "other answer", b"a\nit\nb,c\nd\n", "line 4: the answer 'd' is not one of"),
    _task_file(
        "dpr", "cut off", b"a\nit\nb,c\nb\n\na\nit\n", "line 8: the pair of candidates is missing"
    ),
    _task_file("dpr", "no blank line", b"a\nit\nb,c\nb\na\nit\nb,c\nb\n", "line 5 must be blank"),
]
