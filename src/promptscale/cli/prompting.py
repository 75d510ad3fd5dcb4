"""What the commands about prompts share: options, and the set-up of JAX and of the log."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from promptscale.data.tables import Format
from promptscale.distributed.environment import configure_jax
from promptscale.planning.machine import available_cores

Checkpoint: TypeAlias = Annotated[
    str, typer.Option(help="A T5X checkpoint, or the folder of a Hugging Face model.")
]
VocabularyFile: TypeAlias = Annotated[
    Path, typer.Option("--vocabulary", help="The SentencePiece model.")
]
TableFormat: TypeAlias = Annotated[
    Format | None, typer.Option("--format", help="The format; by default that of the suffix.")
]
InputTemplate: TypeAlias = Annotated[
    str, typer.Option(help="The input; by default that of the prompt's card, else '{input}'.")
]

_CACHE_BYTES = 2**30  # of compiled programs


def set_up() -> None:
    """Sets JAX's variables, and shows the package's log on the standard error stream.

    Compiled programs are kept in the user's cache folder. JAX must be imported later.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "promptscale", "compiled")
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(_CACHE_BYTES))
    configure_jax(available_cores(), cache)
    log = logging.getLogger("promptscale")
    log.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
