"""The `promptscale` command: a module per group of subcommands."""

import sys
from typing import Any

import typer
import typer.core

from promptscale.cli import (
    configuration,
    convert,
    evaluate,
    inspection,
    predict,
    scores,
    status,
    tensorboard,
    tpu,
    tune,
)
from promptscale.errors import PromptscaleError


class _Group(typer.core.TyperGroup):
    """Commands that exit with the message of a PromptscaleError instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe is an error here and not at the interpreter's end
            return result
        except PromptscaleError as error:
            sys.exit(f"promptscale: {error}")


app = typer.Typer(
    cls=_Group,
    help="Prompt tuning of frozen T5 models. `snakemake` runs the experiments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    tune.tune,
    predict.predict,
    evaluate.evaluate,
    inspection.inspect,
    convert.convert,
    status.status,
    tensorboard.tensorboard,
    scores.scores,
    configuration.plan,
    configuration.check,
    configuration.parameters,
):
    app.command()(command)
app.add_typer(tpu.app, name="tpu")
