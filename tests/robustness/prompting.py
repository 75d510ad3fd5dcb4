"""Command lines of `tune`, `predict` and `evaluate` that must be refused."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.prompting import site
from tests.robustness.case import Case, command

_MODEL = ("--checkpoint", "t5_small", "--vocabulary", "spiece.model")
_GOOD = "input,target\n" + "".join(",".join(pair) + "\n" for pair in site.reviews())
_KEPT: list[tempfile.TemporaryDirectory] = []


@functools.cache
def _model() -> Path:
    """The folder of a tiny model, which all cases share."""
    _KEPT.append(tempfile.TemporaryDirectory())
    site.write_model(Path(_KEPT[0].name))
    return Path(_KEPT[0].name)


def _case(
    name: str, sentence: str, *arguments: str, write: Callable[[Path], object] = lambda f: None
) -> Case:
    """A command line in a folder with a model and the good table `good.csv`."""

    def prepare(folder: Path) -> None:
        for file in ("t5_small", "spiece.model"):
            (folder / file).symlink_to(_model() / file)
        (folder / "good.csv").write_text(_GOOD)
        np.save(folder / "p.npy", np.ones((3, 16), np.float32))
        write(folder)

    return Case(f"command {name}", lambda folder: command(*arguments), sentence, prepare)


def _with(content: str | bytes, name: str) -> Callable[[Path], object]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / name).write_bytes(data)


# Tables that no command reads: the name of the file, its content, the sentence.
_TABLES = [
    ("no file", "in.csv", None, "There is no file in.csv"),
    ("no suffix", "in.xls", "a", "suffix is '.xls', and tables have .csv, .tsv, .jsonl, .txt"),
    ("empty", "in.csv", "", "in.csv is empty"),
    ("a header alone", "in.csv", "input,target\n", "in.csv has no rows"),
    ("blank lines", "in.jsonl", "\n\n", "in.jsonl has no rows"),
    ("not UTF-8", "in.csv", b"input,target\nwei\xdf,a\n", "line 2: the text is not UTF-8"),
    ("UTF-16", "in.csv", "input,target\n".encode("utf-16"), "it is UTF-16 text"),
    ("a zip archive", "in.csv", b"PK\x03\x04", "it is a zip archive"),
    ("a wrong column", "in.csv", "text,target\na,b\n", "no column 'input'; the columns are 'text'"),
    ("a missing cell", "in.csv", "input,target\na\n", "has 1 cells, and .* names 2 columns"),
    ("twice a column", "in.csv", "input,input\na,b\n", "two columns are called 'input'"),
    ("an open quote", "in.csv", 'input,target\n"a,b\n', "line 2: unexpected end of data"),
    ("no JSON", "in.jsonl", "input\n", "line 1: the text is not JSON"),
    ("a list", "in.jsonl", '{"input": ["a"], "target": "b"}', "'input' is a list"),
    ("no value", "in.jsonl", '{"input": null, "target": "b"}', "'input' is empty; it should be"),
]


def _of_tables(verb: str, *arguments: str) -> list[Case]:
    return [
        _case(
            f"{verb}: {name}",
            sentence,
            *(verb, file, *arguments, *_MODEL),
            write=(lambda folder: None) if content is None else _with(content, file),
        )
        for name, file, content, sentence in _TABLES
    ]


def _tune(name: str, sentence: str, *arguments: str, content: str = _GOOD) -> Case:
    line = ("tune", "in.csv", *_MODEL, *arguments)
    return _case(f"tune: {name}", sentence, *line, write=_with(content, "in.csv"))


def _predict(name: str, sentence: str, *arguments: str, **options: Callable) -> Case:
    return _case(
        f"predict: {name}", sentence, "predict", "good.csv", *_MODEL, *arguments, **options
    )


def _evaluate(name: str, sentence: str, *arguments: str) -> Case:
    line = ("evaluate", "--prompt", "p.npy", *_MODEL, *arguments)
    return _case(f"evaluate: {name}", sentence, *line)


CASES = [
    *_of_tables("tune"),
    *_of_tables("predict", "--prompt", "p.npy"),
    *_of_tables("evaluate", "--prompt", "p.npy", "--task", "sst2"),
    _tune("one row", "there is a single example", content="input,target\na,b\n"),
    _tune("equal rows", "there is a single example", content="input,target\n" + "a,b\n" * 9),
    _tune("an empty target", "line 3: the target is empty", content="input,target\na,b\nc, \n"),
    _tune(
        "a label that cannot be written",
        "cannot write the label '€'",
        content="input,target\n" + "a,€\nb,a\n" * 9,
    ),
    _tune("a wrong target column", "no column 'label'", "--target-column", "label"),
    _tune("a wrong template", "names no column", "--template", "input"),
    _tune("a dev file that is missing", "There is no file dev.csv", "--dev", "dev.csv"),
    _tune("no steps", "steps is 0; it should be 1 or more", "--steps", "0"),
    _tune("a negative rate", "learning_rate is -1", "--learning-rate", "-1"),
    _tune("a short input", "max_input_length is 1; it should be 2 or more", "--max-input-length=1"),
    _tune("no checkpoint", "absent", "--checkpoint", "absent"),
    _tune("a prompt for a checkpoint", "p.npy .* not flax msgpack", "--checkpoint", "p.npy"),
    _tune("no vocabulary", "The vocabulary absent is missing", "--vocabulary", "absent"),
    _tune("a table for a vocabulary", "not a complete SentencePiece", "--vocabulary", "in.csv"),
    _tune("a file for a folder", "in.csv/state", "--out", "in.csv", "--steps", "1"),
    _predict("no prompt", "The prompt file absent.npy is missing", "--prompt", "absent.npy"),
    _predict(
        "a folder without a prompt",
        "t5_small is a folder without a prompt; a prompt is",
        "--prompt=t5_small",
    ),
    _predict("a table for a prompt", "not a whole .npy file", "--prompt", "good.csv"),
    _predict(
        "another width",
        r"The prompt in q is .* x 8 .*, but the model's d_model is 16",
        *("--prompt", "q.npy"),
        write=lambda folder: np.save(folder / "q.npy", np.ones((3, 8), np.float32)),
    ),
    _predict(
        "a damaged card",
        "p.json is not the card of a prompt: it is not JSON",
        *("--prompt", "p.npy"),
        write=_with("{", "p.json"),
    ),
    _predict(
        "another JSON for a card",
        "p.json is not the card of a prompt: .*missing",
        *("--prompt", "p.npy"),
        write=_with("{}", "p.json"),
    ),
    _predict("a name twice", "Two prompts are called 'p'", "--prompt", "p.npy", "--prompt=p.npy"),
    _predict(
        "a row that chooses no prompt",
        "line 2: there is no prompt 'positive'; there are p, r",
        *("--prompt=p.npy", "--prompt=r=p.npy", "--prompt-column", "target"),
    ),
    _predict("a vote without prompts", "here are none", "--vote"),
    _evaluate("no such task", "There is no task 'sst3'", "good.csv", "--task", "sst3"),
    _evaluate("no task", "has no card with a task; name it with --task", "good.csv"),
    _evaluate(
        "a target of another task",
        "'positive' is no label of RTE; the labels are entailment, not_entailment",
        *("good.csv", "--task", "rte"),
    ),
    _evaluate(
        "no prepared split",
        "dataset sst2/validation.safetensors is missing",
        *("sst2/validation", "--task", "sst2"),
    ),
]
