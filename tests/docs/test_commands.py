"""Every command in the documents exists: its subcommand, its options, its target."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from snakemake.cli import get_argument_parser

from promptscale.cli import app
from tests.docs.pages import PAGES, REPOSITORY

MANUAL = (REPOSITORY / "config/README.md").read_text(encoding="utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
PROGRAMS = ("promptscale", "snakemake", "make")


def commands(text: str) -> list[str]:
    """The commands of a page: indented lines, lines after `$`, lines of shells, and spans."""
    text = text.replace("\\\n", " ")
    command = rf"((?:{'|'.join(PROGRAMS)})(?: .*)?)$"
    shell = re.findall(r"^ *```(?:sh|bash)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [
        *re.findall(rf"^(?: {{4,}}| *\$ ){command}", text, re.MULTILINE),
        *re.findall(rf"^ *{command}", "".join(shell), re.MULTILINE),
        *re.findall(rf"`((?:{'|'.join(PROGRAMS)}) [^`\n]*)`", text),
    ]


ALL = sorted(
    {
        (str(page.relative_to(REPOSITORY)), command)
        for page in PAGES
        if page.name != "CHANGELOG.md"  # it has commands of earlier versions
        for command in commands(page.read_text(encoding="utf-8"))
    }
)


def words(command: str) -> list[str]:
    """The words of a command, without its comment and what follows in the shell."""
    return shlex.split(re.split(r" (?:\||&&|;|>) ", command)[0], comments=True)


def test_there_are_many_commands():
    assert len(ALL) > 60 and {words(command)[0] for _, command in ALL} == set(PROGRAMS)


@pytest.mark.parametrize("page, command", [pair for pair in ALL if pair[1].startswith("make")])
def test_make(page, command):
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    variables = set(re.findall(r"^(?:export )?([A-Z]+) \?=", MAKEFILE, re.MULTILINE))
    for word in words(command)[1:]:
        name, is_variable, _ = word.partition("=")
        assert name in (variables if is_variable else targets), f"{page}: {command}"


@pytest.mark.parametrize(
    "page, command", [pair for pair in ALL if pair[1].startswith("promptscale")]
)
def test_promptscale(page, command):
    """A word in capitals stands for a value."""
    current = typer.main.get_command(app)
    rest = words(command)[1:]
    while rest and hasattr(current, "commands"):
        if rest[0].startswith("-"):
            break
        assert rest[0] in current.commands, f"{page}: {command}"
        current = current.commands[rest.pop(0)]
    options = {name for parameter in current.params for name in parameter.opts} | {"--help"}
    for word in rest:
        if word.startswith("--"):
            assert word.split("=")[0] in options, f"{page}: {command}"


def targets() -> set[str]:
    """The targets of the manual's table, those between `…` included."""
    table = MANUAL.split("\n## Targets\n")[1].split("\n## ")[0]
    first = "".join(row.split("|")[1] for row in table.splitlines() if row.startswith("|"))
    names = set(re.findall(r"`([a-z_0-9]+)`", first))
    return names | {f"table{n}" for n in range(1, 17)} | {f"figure3{letter}" for letter in "abcd"}


@pytest.mark.parametrize("page, command", [pair for pair in ALL if pair[1].startswith("snakemake")])
def test_snakemake(page, command, capsys):
    """Snakemake's own parser reads the options; targets are those of the manual, or paths."""
    try:
        arguments = get_argument_parser().parse_args(words(command)[1:])
    except SystemExit as end:
        assert not end.code, f"{page}: {command}: {capsys.readouterr().err}"
        return
    for target in arguments.targets:
        known = target in targets() | {"ablation_learning_rate"} or "/" in target
        assert known or target.isupper(), f"{page}: {command}"
    for profile in arguments.profile or []:
        assert (REPOSITORY / profile.removeprefix("/opt/promptscale/")).is_dir(), command
    for file in arguments.configfile or []:
        is_users = Path(file).name in ("experiment.yaml", "FILE")
        assert is_users or (REPOSITORY / file).is_file(), f"{page}: {command}"
