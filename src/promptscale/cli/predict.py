"""The command `predict`: answers with tuned prompts."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from promptscale.cli.prompting import Checkpoint, InputTemplate, TableFormat, VocabularyFile, set_up
from promptscale.data.tables import TableRow, read_table
from promptscale.errors import ConfigError, DataError

_STANDARD_INPUT = Path("/dev/stdin")
_CHOOSING = ("prompt", "task")  # columns that choose a row's prompt


def predict(
    checkpoint: Checkpoint,
    vocabulary: VocabularyFile,
    table: Annotated[
        Path, typer.Argument(help="A table, lines of text (.txt), or - for lines on stdin.")
    ] = Path("-"),
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="A folder of `tune`, a .npy file, or a PEFT or T5X prompt; NAME=PATH names it. "
            "Repeatable."
        ),
    ] = None,
    template: InputTemplate = "",
    prompt_column: Annotated[
        str, typer.Option(help="The column that names a row's prompt; by default prompt or task.")
    ] = "",
    vote: Annotated[bool, typer.Option(help="The majority of the prompts wins.")] = False,
    table_format: TableFormat = None,
    max_output_tokens: Annotated[
        int | None, typer.Option(min=1, help="The limit of an answer; by default the card's.")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON object per answer: input, prompt, prediction."),
    ] = False,
) -> None:
    """Answer each row of a table; several prompts may answer in the same batch.

    Example: promptscale predict new.csv --prompt prompts/reviews --checkpoint t5_small
    --vocabulary spiece.model
    """
    if table == Path("-"):
        table, table_format = _STANDARD_INPUT, table_format or "txt"
    rows = read_table(table, table_format)
    first = next(rows)  # a table that cannot be read is refused before the model is loaded
    set_up()
    from promptscale.prompting.model import load
    from promptscale.prompting.prompt import load_prompts
    from promptscale.prompting.template import DEFAULT, Template

    prompts, model = load_prompts(prompt or []), load(checkpoint, vocabulary)
    names = [item.name for item in prompts] or [""]
    cards = [item.card for item in prompts] or [model.card]
    templates = [Template(template or (card.template if card else DEFAULT)) for card in cards]
    column = "" if vote or len(prompts) < 2 else _choosing_column(prompt_column, first)
    if vote and len({card.template for card in cards if card}) > 1 and not template:
        raise ConfigError("The prompts that vote have different templates; give a --template.")
    everyone = range(1 if vote else len(templates))

    def questions() -> Iterator[tuple[str, int]]:
        for row in itertools.chain([first], rows):
            numbers = [_number(row, column, names)] if column else everyone
            for number in numbers:
                yield templates[number].fill(row), number

    # A copy that nobody reads would keep every row in memory.
    shown, inputs, *choices = itertools.tee(questions(), 2 if vote else 3)
    answers = model.predict(
        (text for text, _ in inputs),
        prompts,
        choose=(number for copy in choices for _, number in copy) if choices else None,
        votes=vote,
        max_output_tokens=max_output_tokens,
    )
    for (text, number), answer in zip(shown, answers, strict=True):
        if as_json:
            name = "vote" if vote else names[number]
            print(json.dumps({"input": text, "prompt": name, "prediction": answer}))
        elif column or len(everyone) == 1:
            print(answer)
        else:
            print(f"{names[number]}\t{answer}")


def _choosing_column(named: str, first: TableRow) -> str:
    """The column that chooses prompts; empty if every prompt answers every row."""
    if named:
        return named
    return next((column for column in _CHOOSING if column in first.cells), "")


def _number(row: TableRow, column: str, names: Sequence[str]) -> int:
    """The number of the prompt that a row names."""
    name = row.text(column)
    if name not in names:
        raise DataError(f"{row.place}: there is no prompt {name!r}; there are {', '.join(names)}.")
    return names.index(name)
