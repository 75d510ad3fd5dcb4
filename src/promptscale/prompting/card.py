"""Cards: what a prompt was trained on and how, in a JSON file beside the prompt."""

import importlib.metadata
from pathlib import Path
from typing import Any

import pydantic

from promptscale import __version__
from promptscale.config import faults
from promptscale.config.tasks import Task
from promptscale.config.values import Positive, Strict
from promptscale.errors import CheckpointError
from promptscale.prompting.template import DEFAULT
from promptscale.storage.atomic import atomic_write
from promptscale.storage.reasons import named_errors

IN_CHECKPOINT = "card.json"  # in the folder of a tuned model
_PACKAGES = ("jax", "flax", "optax", "numpy")


class Source(Strict):
    """A file or folder: where it was, and a digest of its content."""

    location: str
    digest: str


class Sources(Strict):
    """What a training reads; the digests of `data` and `dev` are those of inputs and targets.

    `dev` is None where the dev set is a part of the data.
    """

    checkpoint: Source
    vocabulary: Source
    data: Source
    dev: Source | None


class Card(Strict):
    """What belongs to a prompt, or to a tuned model, besides its numbers.

    Attributes:
      method: `prompt_tuning` or `model_tuning`.
      task: labels and metrics.
      template: how the columns of a row become the input.
      target_column: the column of the targets.
      max_output_tokens: the tokens of the longest dev target, with EOS; answers have no more.
      sources: what the training read.
      train_examples, dev_examples: the sizes of both sets.
      settings: of the training.
      training: a digest of settings and sources, by which a finished training is known.
      seed, step: the run, and its best step on the dev set.
      scores: on the dev set, 0 to 100.
      versions: of the packages.
    """

    method: str
    task: Task
    template: str = DEFAULT
    target_column: str
    max_output_tokens: Positive
    sources: Sources
    train_examples: Positive
    dev_examples: Positive
    settings: dict[str, Any]
    training: str
    seed: int
    step: int
    scores: dict[str, float]
    versions: dict[str, str]

    def save(self, path: Path) -> None:
        """Writes the card as JSON."""
        with atomic_write(path, CheckpointError) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_card(path: Path) -> Card:
    """Reads a card.

    Raises:
      CheckpointError: the file cannot be read, or is not a card.
    """
    with named_errors(f"The card {path} cannot be read", CheckpointError):
        content = path.read_bytes()
    try:
        return Card.model_validate_json(content)
    except pydantic.ValidationError as error:
        raise CheckpointError(
            f"{path} is not the card of a prompt: {_first_fault(error)} Delete it to use the "
            "prompt without a card."
        ) from error


def versions() -> dict[str, str]:
    """The versions of this package and of those that compute."""
    others = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"promptscale": __version__} | others


def _first_fault(error: pydantic.ValidationError) -> str:
    if error.errors()[0]["type"] == "json_invalid":
        return "it is not JSON."
    return faults.sentences(error, Card)[0]
