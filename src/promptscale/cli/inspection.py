"""The command `inspect`: what the tokens of a prompt are near to."""

import json
from pathlib import Path
from typing import Annotated

import typer

from promptscale.config.tasks import task as task_named
from promptscale.errors import ConfigError


def inspect(
    prompt: Annotated[str, typer.Argument(help="A prompt: a .npy file, a folder, an adapter.")],
    checkpoint: Annotated[str, typer.Option(help="The checkpoint that it was tuned on.")],
    vocabulary: Annotated[Path, typer.Option(help="The checkpoint's SentencePiece model.")],
    task: Annotated[str, typer.Option(help="The prompt's task, which has class labels.")] = "",
    labels: Annotated[
        str, typer.Option(help="The class labels of another task, separated by commas.")
    ] = "",
    plot: Annotated[Path | None, typer.Option(help="Draw into this .png or .pdf file.")] = None,
    force: Annotated[bool, typer.Option(help="Replace the plot, if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the norms, nearest neighbours and clusters of a prompt's tokens.

    \b
    Example:
      promptscale inspect rte.npy --checkpoint t5_hf --vocabulary spiece.model --task rte
    """
    # Imported here, because JAX and Matplotlib would delay the other commands.
    from promptscale.experiments import inspection
    from promptscale.reporting.figures import prompt as figure
    from promptscale.reporting.figures import style

    if plot is not None:
        if plot.suffix.removeprefix(".") not in style.IMAGES:
            formats = " or ".join(f".{kind}" for kind in style.IMAGES)
            raise ConfigError(f"The plot {plot} should be a file that ends in {formats}.")
        if plot.exists() and not force:
            raise ConfigError(f"{plot} exists; give another path, or --force to replace it.")
    inspected = inspection.inspect(prompt, checkpoint, vocabulary, _words(task, labels))
    if plot is not None:
        drawn = figure.draw(inspected.norms, inspected.vocabulary_norm, inspected.neighbours)
        style.save_image(drawn, plot)
    if as_json:
        print(json.dumps({"prompt": prompt, "checkpoint": checkpoint, **inspected.to_json()}))
        return
    for line in inspected.lines():
        print(line)


def _words(task: str, labels: str) -> tuple[str, ...]:
    """The class labels that the options name."""
    if task and labels:
        raise ConfigError("Give the class labels by --task or by --labels, not by both.")
    if task:
        return tuple(task_named(task).class_label_words)
    return tuple(filter(None, map(str.strip, labels.split(","))))
