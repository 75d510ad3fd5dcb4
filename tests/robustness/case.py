"""A bad input: how it is made, what a user does with it, and the sentence that must follow."""

import contextlib
import io
import logging
import os
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from promptscale.cli import app
from promptscale.errors import PromptscaleError


class Case(NamedTuple):
    """A line of a table of bad inputs.

    Attributes:
      name: what is wrong, unique among all tables.
      use: what a user does with the input, given the folder that it lies in.
      sentence: a regular expression that the message must contain.
      write: puts the input into the folder.
    """

    name: str
    use: Callable[[Path], object]
    sentence: str
    write: Callable[[Path], object] = lambda folder: None


def message_of(use: Callable[[Path], object], folder: Path) -> str:
    """The message with which `use` ends.

    Commands and scripts print the message of a PromptscaleError and exit with status 1
    (`promptscale.cli`, `promptscale.workflow_script`).
    """
    try:
        use(folder)
    except PromptscaleError as error:
        return str(error)
    except SystemExit as end:
        if isinstance(end.code, str):
            return end.code
        raise AssertionError(f"exit status {end.code!r} without a sentence") from end
    raise AssertionError("the input was accepted")


def command(*arguments: str, output: bool = False) -> None:
    """Runs a command of `promptscale`, without its `output` unless that is asked for.

    What it sets for its process is taken back: environment variables, and where the log goes.
    Options of malloc cannot be taken back, so they are not set.
    """
    dropped = contextlib.nullcontext() if output else contextlib.redirect_stdout(io.StringIO())
    log = unittest.mock.patch.object(logging.getLogger("promptscale"), "handlers", [])
    malloc = unittest.mock.patch("promptscale.distributed.environment._MALLOC", {})
    with dropped, log, malloc, unittest.mock.patch.dict(os.environ):
        app(list(arguments), standalone_mode=False)
