"""A prompt: an array with its card."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from promptscale import prompts
from promptscale.errors import CheckpointError, ConfigError
from promptscale.prompting.card import Card, read_card
from promptscale.storage.location import is_remote, resolve


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A prompt, to be put before the embedded input of a frozen model.

    Attributes:
      array: the prompt [P, D]: P tokens of the width D of the model, in float32.
      name: its folder or file without suffix; rows of a table choose prompts by their names.
      card: what it was trained on; None for a prompt from elsewhere.
    """

    array: Float[np.ndarray, "P D"]
    name: str
    card: Card | None = None

    def save(self, path: Path) -> None:
        """Writes the prompt to a `.npy` file, and its card beside it with the suffix `.json`."""
        prompts.save(path, self.array)
        if self.card:  # after the prompt: where there is a card, the prompt is complete
            self.card.save(path.with_suffix(".json"))


def load_prompt(location: str | Path, name: str = "") -> Prompt:
    """Reads a prompt and its card, if it has one.

    Args:
      location: a file or folder in any format of `promptscale.prompts.load`.
      name: of the prompt; by default that of its folder or file.

    Raises:
      CheckpointError: the prompt or its card is missing or damaged.
    """
    text = str(location)
    if is_remote(text):
        return Prompt(prompts.load(text), name or Path(text).stem)
    array, path = prompts.load(text), Path(resolve(text, CheckpointError))
    name = name or (path.name if path.is_dir() else path.stem)
    card = (path / prompts.FILE if path.is_dir() else path).with_suffix(".json")
    return Prompt(array, name, read_card(card) if card.is_file() else None)


def load_prompts(arguments: Sequence[str]) -> list[Prompt]:
    """Reads prompts, each from a location or from NAME=LOCATION.

    Raises:
      CheckpointError: a prompt or its card is missing or damaged.
      ConfigError: two prompts have the same name.
    """
    loaded = []
    for argument in arguments:
        name, equals, location = argument.partition("=")
        named = equals and not Path(argument).exists()
        loaded.append(load_prompt(location, name) if named else load_prompt(argument))
    names = [prompt.name for prompt in loaded]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(
            f"Two prompts are called {twice[0]!r}; name them with --prompt NAME=PATH."
        )
    return loaded
