"""Tables of results and published bundles that must be refused."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

from promptscale.reporting import bundle, error_modes, neighbour_words, neighbours, runs_table
from promptscale.reporting.context import Context
from promptscale.reporting.tables import dataset_statistics, published_prompts, table6, throughput
from tests.robustness.case import Case, command

_RUN = {
    "run": "a/0", "method": "prompt_tuning", "size": "mini-small", "task": "cb", "eval_task": "cb",
    "checkpoint": "lm_400", "prompt_length": "20", "initialization": "class_label",
    "objective": "lm_adaptation", "adaptation_steps": "400", "pretraining_seed": "0", "seed": "0",
    "step": "100", "metric": "score", "value": "50.0", "selected": "True", "wall_seconds": "1.0",
    "accelerator_seconds": "1.0", "origin": "generated", "label": "Miniature",
}  # fmt: skip
_LOSS = _RUN | {"metric": "loss"}
_SUMMARY = {
    "size": "mini-small", "task": "cb", "initialization": "class_label", "prompt_length": "20",
    "seed": "0", "origin": "generated", "label": "Miniature", "labels": "2",
    "labels_persisting": "2", "labels_found": "2", "rows_per_label": "1.5", "duplicates": "0.3",
    "duplicates_random": "0.1", "cohesion": "0.5", "cohesion_random": "0.4",
}  # fmt: skip
_WORD = {
    "size": "mini-small", "task": "cb", "word": "cat", "tokens": "3", "tokens_elsewhere": "1",
    "log_odds": "1.0", "z": "2.0", "origin": "generated", "label": "Miniature",
}  # fmt: skip
_PUBLISHED = {
    "task": "rte", "metric": "accuracy", "value": "68.6", "examples": "277", "size": "base",
    "checkpoint": "lm_100000", "origin": "real", "label": "T5 1.1",
}  # fmt: skip
_COUNT = {"task": "cb", "split": "train", "examples": "3", "label": "neutral", "count": "3"}
_SERVING = {
    "size": "mini-small", "work": "tasks", "prompts": "2", "requests": "8", "per_prompt": "4",
    "identical": "1.0", "together_per_second": "9.0", "separate_per_second": "3.0",
    "device": "cpu", "origin": "generated", "label": "M",
}  # fmt: skip
_ERRORS = {
    "size": "mini-small", "checkpoint": "span_corruption", "objective": "span_corruption",
    "adaptation_steps": "0", "task": "cb", "seed": "0", "mode": "empty", "count": "3",
    "origin": "generated", "label": "Miniature",
}  # fmt: skip
_TRIAL = {
    "trial": "1", "method": "prompt_tuning", "size": "mini-small", "learning_rate": "0.3",
    "parameter_scaling": "True", "batch_size": "32", "steps": "100", "warmup_steps": "0",
    "decay_factor": "", "steps_per_decay": "100", "score": "50.0", "diverged": "0",
    "origin": "generated", "label": "M",
}  # fmt: skip

_NAMES = ("majority", "published_prompts", "serving", "trials")


def _csv(*rows: dict[str, str], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _scores(what: str, content: bytes, sentence: str, name: str = "runs.csv") -> Case:
    """A table of runs that `promptscale scores` reads."""
    use = lambda folder: command("scores", str(folder / name))  # noqa: E731
    return Case(f"runs: {what}", use, sentence, lambda folder: (folder / name).write_bytes(content))


def _runs(what: str, sentence: str, **changed: str) -> Case:
    """A table of two runs, the second with changed cells."""
    return _scores(what, _csv(_RUN, _RUN | {"run": "a/1", "seed": "1"} | changed), sentence)


def _table(name: str, read: Callable[[Path], object], right: dict, **wrong: str) -> list[Case]:
    """Another table: with one wrong cell, without its last column, with only a header, cut off."""
    column, value = next(iter(wrong.items()))
    rest = dict(list(right.items())[:-1])
    contents = {
        f"{column} is {value!r}": (_csv(right | wrong), f"line 2: {column} is '{value}'"),
        "a column is missing": (_csv(rest), f"lacks the column '{list(right)[-1]}'"),
        "only a header": (_csv(right).splitlines()[0], "has no rows, only a header"),
        "a row twice": (
            _csv(right, right),
            "line 3: .* (a line before has the same|have it already)",
        ),
        "cut off": (_csv(right, right).rpartition(b",")[0], "line 3: there are"),
    }
    return [
        Case(
            f"{name}: {what}",
            lambda folder: read(folder / "table.csv"),
            sentence,
            lambda folder, content=content: (folder / "table.csv").write_bytes(content),
        )
        for what, (content, sentence) in contents.items()
    ]


def _context(path: Path) -> Context:
    return Context.of(dict.fromkeys(_NAMES, path), {}, {})


_SETTINGS = {"origin": "generated", "label": "Miniature"}


def _bundle(
    what: str,
    sentence: str,
    change: Callable[[Path], object],
    use: Callable[[Path], object] = bundle.verify,
) -> Case:
    """A published bundle of which something is changed."""

    def write(folder: Path) -> None:
        (folder / "runs.csv").write_bytes(_csv(_RUN))
        _publish(folder / "published")
        change(folder / "published")

    return Case(f"bundle: {what}", lambda folder: use(folder / "published"), sentence, write)


def _publish(folder: Path, **changed: str) -> None:
    settings = json.dumps(_SETTINGS | changed)
    bundle.publish(folder, {"runs": folder.parent / "runs.csv"}, settings)


def _changed_manifest(**changed: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / bundle.MANIFEST
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    return change


def _manifest_of(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / bundle.MANIFEST).write_bytes(content)


CASES = [
    _scores("empty", b"", "runs.csv is empty"),
    _scores("only a header", _csv(_RUN).splitlines()[0], "has no rows, only a header"),
    _scores("not UTF-8", _csv(_RUN, _LOSS).replace(b"loss", b"l\xf6ss"), "line 3: the text is not"),
    _scores("UTF-16", _csv(_RUN).decode().encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
    _scores("an Excel file", b"PK\x03\x04\x14\x00", "is a zip archive, as Excel"),
    _scores("a web page", b"<!DOCTYPE html>\n", "is a web page"),
    _scores("semicolons", _csv(_RUN, delimiter=";"), "has semicolons between its columns"),
    _scores("tabs", _csv(_RUN, delimiter="\t"), "has tabs between its columns"),
    _scores("an open quote", _csv(_RUN) + b'"a', "line 3, is not readable as CSV"),
    _scores("cut off", _csv(_RUN, _LOSS)[:-40], "line 3: there are 1. cells for 20 columns"),
    _scores("a further cell", _csv(_RUN)[:-1] + b",1\n", "line 2: there are 21 cells"),
    _scores("a blank line", _csv(_RUN).replace(b"\n", b"\n\n"), "line 2: there are 0 cells"),
    _scores("cut gzip", gzip.compress(_csv(_RUN))[:-9], "damaged after line", "runs.csv.gz"),
    _scores("no gzip", b"\x1f\x8b" + b"a" * 99, "is damaged after line 0", "runs.csv.gz"),
    _scores("another table", _csv(_COUNT), "lacks the column 'run'"),
    _scores(
        "renamed column", _csv(_RUN).replace(b",seed", b",seeds", 1), "lacks the column 'seed'"
    ),
    _scores("further column", _csv(_RUN | {"colour": "red"}), "has a column 'colour'"),
    _scores("a column twice", _csv(_RUN).replace(b",seed", b",step", 1), "the column 'step' twice"),
    _scores("a row twice", _csv(_RUN, _RUN), "line 3: metric is 'score'; this run, task and step"),
    _scores("two values", _csv(_RUN, _RUN | {"value": "60.0"}), "line 3: .* have it already"),
    _scores("two seeds", _csv(_RUN, _LOSS | {"seed": "1"}), "run a/0 have several values of seed"),
    _runs("seed in words", "line 3: seed is 'one'; it must be a whole number", seed="one"),
    _runs("seed beyond 64 bits", "line 3: seed is '1e30'; it must be a whole number", seed="1e30"),
    _runs("value in words", "line 3: value is 'high'; it must be a number", value="high"),
    _runs("value nan", "line 3: value is 'nan'; it must be a number", value="nan"),
    _runs("decimal comma", "line 3: value is '50,0'; it must be a number", value="50,0"),
    _runs("seconds nan", "line 3: wall_seconds is 'nan'; it must be a number", wall_seconds="nan"),
    _runs("seconds inf", "line 3: wall_seconds is 'inf'; it must be a number", wall_seconds="inf"),
    _runs("selected in lower case", "line 3: selected is 'true'; it must be True", selected="true"),
    _runs("selected in numbers", "line 3: selected is '1'; it must be True or False", selected="1"),
    _runs("no selected score", "run a/1 has 0 selected scores on cb", selected="False"),
    _runs("two origins", "mix the origins generated, real", origin="real"),
    _runs("two labels", "mix the labels Miniature, T5", label="T5"),
    *_table("metrics", runs_table.read_runs, _RUN, step="-1"),
    *_table("neighbours", neighbours.read, _SUMMARY, duplicates="2.0"),
    *_table("domain_words", neighbour_words.read, _WORD, z="inf"),
    *_table(
        "published_prompts",
        lambda path: published_prompts.build(_context(path)),
        _PUBLISHED,
        value="101.0",
    ),
    *_table("datasets", dataset_statistics.read, _COUNT, examples="few"),
    *_table("error modes", error_modes.read, _ERRORS, mode="silence"),
    *_table(
        "majority",
        lambda path: _context(path).majority,
        {"task": "cb", "score": "50.0"},
        task="bc",
    ),
    *_table(
        "serving",
        lambda path: throughput.build(_context(path)),
        _SERVING,
        together_per_second="inf",
    ),
    *_table(
        "trials",
        lambda path: table6.build(_context(path)),
        _TRIAL,
        decay_factor="off",
    ),
    _bundle(
        "no manifest", "There are no published results", lambda f: (f / "manifest.json").unlink()
    ),
    _bundle("empty manifest", "manifest.json is empty", _manifest_of(b"")),
    _bundle("manifest is no JSON", "is not a manifest of published results", _manifest_of(b"{")),
    _bundle("manifest is no text", "line 1: the text is not UTF-8", _manifest_of(b"\xff{}")),
    _bundle("another format", "the key 'format_version'", _changed_manifest(format_version=1)),
    _bundle("unknown key", "the key 'colour'", _changed_manifest(colour="red")),
    _bundle("altered table", "its sha256 differs", lambda f: (f / "runs.csv.gz").write_bytes(b"a")),
    _bundle("missing table", "runs.csv.gz is missing", lambda f: (f / "runs.csv.gz").unlink()),
    _bundle(
        "of another label",
        "holds published results of the generated origin, labelled 'Miniature', but these",
        lambda folder: None,
        lambda folder: _publish(folder, label="Again"),
    ),
    Case(
        "bundle: other results",
        lambda folder: _publish(folder / "published", label="Again"),
        "has results of the label 'Miniature', not of 'Again'",
        lambda folder: (folder / "runs.csv").write_bytes(_csv(_RUN)),
    ),
    Case(
        "bundle: a file for the folder",
        lambda folder: _publish(folder / "published"),
        "holds files other than published results",
        lambda folder: (folder / "published").touch(),
    ),
]
