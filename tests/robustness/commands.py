"""Command lines that must be refused."""

from collections.abc import Callable
from pathlib import Path

from tests.robustness.case import Case, command

_ROOT = Path(__file__).parents[2]
_SMALLEST = str(Path(__file__).parents[1] / "workflow" / "smallest.yaml")
_NO_TEXT = b"\xff\xfe\x00"


def _command(name: str, sentence: str, *arguments: str, content: bytes | None = None) -> Case:
    """A command line in a folder, where `input` is a file with this content (None: no file)."""

    def write(folder: Path) -> None:
        if content is not None:
            (folder / "input").write_bytes(content)

    return Case(f"command {name}", lambda folder: command(*arguments), sentence, write)


def _reads_a_file(
    *arguments: str, empty: str, not_text: str, folder: str = "input (cannot be read|is a folder)"
) -> list[Case]:
    """A command that reads a file `input`: no file, a folder, an empty file, bytes."""

    def case(what: str, sentence: str, write: Callable[[Path], object]) -> Case:
        name = f"command {arguments[0]}: {what}"
        return Case(name, lambda folder: command(*arguments, "input"), sentence, write)

    return [
        case("no file", "input (cannot be read|is missing)", lambda folder: None),
        case("a folder", folder, lambda f: (f / "input").mkdir()),
        case("an empty file", empty, lambda folder: (folder / "input").touch()),
        case("no text", not_text, lambda folder: (folder / "input").write_bytes(_NO_TEXT)),
    ]


CASES = [
    *_reads_a_file("check", empty="is not a mapping", not_text="is not UTF-8 in line 1"),
    *_reads_a_file("plan", "--config", empty="is not a mapping", not_text="is not UTF-8 in line 1"),
    *_reads_a_file(
        *("status", "--config"), empty="is not a mapping", not_text="is not UTF-8 in line 1"
    ),
    *_reads_a_file(
        *("tensorboard", "curves", "--config"),
        empty="is not a mapping",
        not_text="is not UTF-8 in line 1",
    ),
    _command(
        "tensorboard: a file is in the way",
        "The curves cannot be written to input: .+",
        *("tensorboard", "input", "--config", _SMALLEST),
        content=b"",
    ),
    *_reads_a_file(
        "scores",
        empty="input is empty",
        not_text="is UTF-16 text",
        folder="No job in the folder input has a metrics.csv",
    ),
    _command(
        "scores: a configuration",
        "paper.yaml lacks the column 'run'; is it another table",
        *("scores", str(_ROOT / "config" / "paper.yaml")),
    ),
    _command("parameters: no such size", "There is no", "parameters", "--size", "huge"),
    _command(
        "parameters: no prompt",
        "The prompt length is 0; it must be at least 1",
        *("parameters", "--size", "small", "--prompt-length", "0"),
    ),
    _command(
        "plan: no such accelerator",
        "There is no accelerator 'abacus'",
        *("plan", "--config", _SMALLEST, "--accelerator", "abacus"),
    ),
    _command(
        "plan: the table of runs is a folder",
        "give a file's path",
        *("plan", "--config", _SMALLEST, "--runs", "."),
    ),
    _command(
        "plan: the table of runs in no folder",
        "give a file's path",
        *("plan", "--config", _SMALLEST, "--runs", "absent/runs.csv"),
    ),
    _command(
        "plan: the table of runs cannot be written",
        "The file /proc/runs.csv cannot be written: .+",
        *("plan", "--config", _SMALLEST, "--runs", "/proc/runs.csv"),
    ),
    *(
        _command(
            f"tpu {name}: {option} {value!r}",
            f"{option} has the name",
            *("tpu", name, "--project", "p", option, value),
        )
        for name in ("list", "reap")
        for option in ("--project", "--zone", "--run")
        for value in ("", " ")
    ),
    _command(
        "tpu reap: a comma", "--zone has the name ''", "tpu", "reap", "--project=p", "--zone=a,"
    ),
]
