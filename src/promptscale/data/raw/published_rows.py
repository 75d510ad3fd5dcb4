"""What the rows of the published files hold: a file is checked before TFDS's builder reads it.

TFDS's errors name no line, and its builders skip or cut some damaged files without an error. The
types list the fields that its builders read, with values that they can read.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from promptscale.config.tasks import MRQA, Task
from promptscale.data.json_lines import parse_object, read_objects, read_places
from promptscale.errors import DataError
from promptscale.storage.text_files import read_lines

_Text = Annotated[str, Field(min_length=1)]

_UNLABELLED = "; is this an unlabelled split?"
_DPR_LINES = (
    "sentence",
    "pronoun",
    "pair of candidates",
    "answer",
)  # of an example, then a blank line


class _Row(BaseModel):
    model_config = ConfigDict(strict=True)


class _Indexed(_Row):
    idx: int


class _BoolQ(_Indexed):
    question: _Text
    passage: _Text
    label: bool


class _CB(_Indexed):
    premise: _Text
    hypothesis: _Text
    label: Literal["entailment", "contradiction", "neutral"]


class _COPA(_Indexed):
    premise: _Text
    choice1: _Text
    choice2: _Text
    question: _Text
    label: Literal[0, 1]


class _RTE(_Indexed):
    premise: _Text
    hypothesis: _Text
    label: Literal["entailment", "not_entailment"]


class _WiC(_Indexed):
    word: _Text
    sentence1: _Text
    sentence2: _Text
    label: bool


class _Referents(_Row):
    span1_index: int
    span1_text: _Text
    span2_index: int
    span2_text: _Text


class _WSC(_Indexed):
    text: _Text
    target: _Referents
    label: bool


class _LabelledAnswer(_Indexed):
    text: str
    label: Literal[0, 1]


class _Question(_Indexed):
    question: _Text
    answers: Annotated[list[_LabelledAnswer], Field(min_length=1)]


class _Paragraph(_Row):
    text: _Text
    questions: Annotated[list[_Question], Field(min_length=1)]


class _MultiRC(_Indexed):
    passage: _Paragraph


class _Answer(_Row):
    text: _Text


_Answers = Annotated[list[_Answer], Field(min_length=1)]


class _Entity(_Row):
    start: int
    end: int


class _Passage(_Row):
    text: _Text
    entities: list[_Entity]


class _Query(_Indexed):
    query: _Text
    answers: _Answers


class _ReCoRD(_Indexed):
    passage: _Passage
    qas: Annotated[list[_Query], Field(min_length=1)]


class _SquadAnswer(_Answer):
    answer_start: int


class _SquadQuestion(_Row):
    id: _Text
    question: _Text
    answers: Annotated[list[_SquadAnswer], Field(min_length=1)]


class _SquadParagraph(_Row):
    context: _Text
    qas: list[_SquadQuestion]


class _SquadArticle(_Row):
    paragraphs: list[_SquadParagraph]


class _Squad(_Row):
    data: Annotated[list[_SquadArticle], Field(min_length=1)]


class _MrqaQuestion(_Row):
    qid: _Text
    question: _Text
    answers: Annotated[list[_Text], Field(min_length=1)]
    question_tokens: list
    detected_answers: list


class _Mrqa(_Row):
    context: _Text
    context_tokens: list
    qas: list[_MrqaQuestion]


_JSON_LINES: dict[str, type[_Row]] = {
    "boolq": _BoolQ, "cb": _CB, "copa": _COPA, "multirc": _MultiRC, "record": _ReCoRD,
    "rte": _RTE, "wic": _WiC, "wsc": _WSC,
}  # fmt: skip
_TABLES = {
    "mrpc": ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
    "qqp": ("is_duplicate", "question1", "question2"),
    "sst2": ("label", "sentence"),
}  # the first column is the label


def check_rows(task: Task, path: Path) -> None:
    """Checks that a file has rows of `task` in the format of its published files.

    Raises:
      DataError: the file or a row is damaged, of another format, or without a label; the message
        names the file, and the line where one is wrong.
    """
    if task.name == "squad":
        content = "".join(read_lines(path, DataError))
        _check_fields(_Squad, str(path), parse_object(str(path), content))
    elif task.name == "dpr":
        _check_pronouns(path)
    elif task.name in _TABLES:
        _check_table(path, _TABLES[task.name])
    else:
        _check_json_lines(task, path)


def _check_json_lines(task: Task, path: Path) -> None:
    rows, places = read_objects(path), dict[Any, str]()
    if task.name in MRQA:
        place, header = next(rows, (str(path), {}))
        if not isinstance(header.get("header"), dict) or "dataset" not in header["header"]:
            right = '{"header": {"dataset": ...}}'
            raise DataError(f"{place}: the first line of MRQA's format is {right}.")
    for place, row in rows:
        _check_fields(_JSON_LINES.get(task.name, _Mrqa), place, row)
        key = row.get("idx", place)
        if places.setdefault(key, place) != place:
            raise DataError(f"{place} has the idx {key}, as has {places[key]}; each has its own.")
    if not places:
        raise DataError(f"{path} has no rows.")


def _check_fields(kind: type[_Row], place: str, row: dict[str, Any]) -> None:
    try:
        kind.model_validate(row)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"]))
        hint = _UNLABELLED if fault["loc"][-1] in ("label", "answers") else "."
        if fault["type"] == "missing":
            raise DataError(f"{place} lacks the field {field!r}{hint}") from None
        value, right = repr(fault["input"]), fault["msg"].replace("Input should", "it should")
        raise DataError(f"{place}: the field {field!r} is {value:.40}; {right}{hint}") from None


def _check_table(path: Path, columns: tuple[str, ...]) -> None:
    """Checks the columns and labels of a table with tabs.

    The published QQP has rows that lack cells, which TFDS's builder skips.
    """
    rows = ((place, line.rstrip("\r\n").split("\t")) for place, line in read_places(path))
    place, header = next(rows, (str(path), []))
    for column in columns:
        if column not in header:
            hint = _UNLABELLED if column == columns[0] and len(header) > 1 else ""
            raise DataError(
                f"{place}: the header lacks the column {column!r}; the columns are separated by "
                f"tabs and include {', '.join(columns)}{hint or '.'}"
            )
    label, is_empty = header.index(columns[0]), True
    for place, cells in rows:
        is_empty = False
        if len(cells) > label and cells[label] not in ("0", "1"):
            raise DataError(f"{place}: {columns[0]} is {cells[label]!r:.40}; it must be 0 or 1.")
        if columns[0] == "Quality" and len(cells) != len(header):
            raise DataError(f"{place} has {len(cells)} cells, but the header has {len(header)}.")
    if is_empty:
        raise DataError(f"{path} has a header, but no rows.")


def _check_pronouns(path: Path) -> None:
    """Checks DPR's blocks of four lines; TFDS's builder ends at the first blank sentence."""
    lines = [line.strip() for line in read_lines(path, DataError)]
    while lines and not lines[-1]:
        lines.pop()
    for start in range(0, max(len(lines), 1), 5):
        block = [*lines[start : start + 5], "", "", "", ""][:5]
        for offset, name in enumerate(_DPR_LINES):
            if not block[offset]:
                raise DataError(f"{path}, line {start + offset + 1}: the {name} is missing.")
        if block[4]:
            raise DataError(f"{path}, line {start + 5} must be blank; it ends an example.")
        candidates = [candidate.strip() for candidate in block[2].split(",")]
        if len(candidates) != 2 or block[3] not in candidates:
            raise DataError(
                f"{path}, line {start + 4}: the answer {block[3]!r:.40} is not one of the two "
                "candidates of the line before."
            )
