"""The command `convert`: prompts and checkpoints in the formats of other tools."""

import enum
import re
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from promptscale.errors import CheckpointError, shortened
from promptscale.storage.location import is_remote, resolve

_SECONDS = 5.0  # between two lines of progress

# The names of what a conversion writes into a folder; --force replaces no folder with other files.
_WRITTEN = {
    "peft": r"adapter_config\.json|adapter_model\.safetensors|README\.md",
    "huggingface": r"config\.json|generation_config\.json|model.*\.safetensors(\.index\.json)?",
    "t5x": r"checkpoint|target\..*|numpy_checkpoints",
}


class Format(enum.StrEnum):
    """The formats that are written."""

    NPY = "npy"
    PEFT = "peft"
    T5X = "t5x"
    HUGGINGFACE = "huggingface"


class DType(enum.StrEnum):
    """The dtypes of a converted checkpoint."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


def convert(
    source: Annotated[str, typer.Argument(help="A prompt or a checkpoint, local or at gs://.")],
    target: Annotated[str, typer.Argument(help="The file (npy) or the folder to write.")],
    to: Annotated[Format, typer.Option(help="The format to write; npy and peft are of prompts.")],
    checkpoint: Annotated[
        str, typer.Option(help="The model of a prompt; its width is checked, and peft names it.")
    ] = "",
    dtype: Annotated[
        DType | None, typer.Option(help="The dtype of a checkpoint's arrays, if not as stored.")
    ] = None,
    step: Annotated[int, typer.Option(min=0, help="The step in T5X's name of a prompt.")] = 0,
    force: Annotated[bool, typer.Option(help="Replace an earlier output.")] = False,
) -> None:
    """Convert a prompt (.npy, PEFT, T5X) or a checkpoint (T5X, Hugging Face).

    \b
    Examples:
      promptscale convert checkpoint_1100000 t5_hf --to huggingface --dtype bfloat16
      promptscale convert rte.npy rte_adapter --to peft --checkpoint t5_hf
      promptscale convert rte_adapter rte.npy --to npy
    docs/formats.md describes the formats.
    """
    # Imported here, because JAX would delay the other commands.
    from promptscale import prompts

    path = _output(target, to, force)
    if to in (Format.NPY, Format.PEFT) or (to == Format.T5X and prompts.is_prompt(source)):
        if dtype is not None:
            raise CheckpointError("--dtype is of checkpoints; a prompt is always float32.")
        shape = _convert_prompt(source, path, to, checkpoint, step)
        print(f"{target} is the prompt {source} ({shape[0]} x {shape[1]}) as {to.value}.")
        return
    if checkpoint or step:
        option = "--checkpoint" if checkpoint else "--step"
        raise CheckpointError(f"{option} is of prompts, and {source} is converted as a checkpoint.")
    from promptscale.checkpoints.convert import convert as convert_checkpoint

    convert_checkpoint(source, path, to.value, dtype and dtype.value, _Progress())
    print(f"{target} is the checkpoint {source} as {to.value}.")


def _convert_prompt(
    source: str, path: Path, to: Format, checkpoint: str, step: int
) -> tuple[int, int]:
    """Writes a prompt; returns its length and width."""
    from promptscale import adapters, prompts
    from promptscale.checkpoints import huggingface
    from promptscale.checkpoints.read import open_t5

    prompt = prompts.load(source)
    base_model = None
    if checkpoint:
        _, architecture = open_t5(checkpoint)
        prompts.check_width(source, prompt, architecture.d_model)
        if not is_remote(checkpoint) and huggingface.is_checkpoint(Path(resolve(checkpoint))):
            base_model = checkpoint
    match to:
        case Format.PEFT:
            adapters.write(path, prompt, base_model)
        case Format.T5X:
            prompts.save_as_t5x(path, prompt, step)
        case _:
            prompts.save(path, prompt)
    return prompt.shape[0], prompt.shape[1]


def _output(target: str, to: Format, force: bool) -> Path:
    """The path to write; CheckpointError if something is there that must not be replaced."""
    location = resolve(target, CheckpointError)
    if is_remote(location):
        raise CheckpointError(f"{target} is in a bucket; convert to a local path, and copy that.")
    path = Path(location)
    if not path.exists() and not path.is_symlink():
        return path
    if not force:
        raise CheckpointError(f"{target} exists; give another path, or --force to replace it.")
    if path.is_dir() != (to != Format.NPY):
        kind = "file" if to == Format.NPY else "folder"
        raise CheckpointError(f"{target} cannot be replaced: the format {to.value} is a {kind}.")
    if path.is_dir():
        names = sorted(child.name for child in path.iterdir())
        if other := [name for name in names if not re.fullmatch(_WRITTEN[to.value], name)]:
            raise CheckpointError(
                f"{target} cannot be replaced: it holds {shortened(other)}, which is nothing that "
                "`convert` writes there; give another path."
            )
    return path


class _Progress:
    """Prints a line to standard error every few seconds; the pipe of the output stays clean."""

    def __init__(self) -> None:
        self._due = time.monotonic() + _SECONDS

    def __call__(self, done: int, total: int) -> None:
        """Takes the bytes that are read and those that there are."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _SECONDS
            text = f"{done / total:.0%} of {total / 1e6:,.0f} MB are read"
            print(text, file=sys.stderr, flush=True)
