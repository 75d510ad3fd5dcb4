"""Loads a configuration; an error has a sentence for each fault."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from promptscale.config import faults, rules
from promptscale.config.schema import Config
from promptscale.errors import ConfigError

Model = TypeVar("Model", bound=pydantic.BaseModel)


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, of which PyYAML would take the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and lines.setdefault(key.value, line) != line:
                raise ValueError(
                    f"line {line} has the key {key.value!r}, which line {lines[key.value]} has too"
                )
        return super().construct_mapping(node, deep)


def load_config(path: Path) -> Config:
    """Reads and validates a YAML configuration.

    Raises:
      ConfigError: no such file, not YAML, an unknown key, a missing key or a bad value.
    """
    return validate(Config, read_mapping(path), str(path))


def read_mapping(path: Path) -> Mapping[Any, Any]:
    """Reads a YAML file whose keys are unique.

    Raises:
      ConfigError: no such file, not UTF-8, not YAML, a key twice, or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"The configuration {path} is not UTF-8 in line {line}.") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        place = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"The configuration {path} is not valid YAML: {place}.") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"The configuration {path} is not a mapping of keys to values.")
    return content


def validate(model: type[Model], content: Mapping[Any, Any], where: str) -> Model:
    """Builds `model` from plain data.

    Raises:
      ConfigError: a line per fault: the key, the fault and what would be right.
    """
    sentences = [
        f"there is the key {faults.shown(key)}, but a key is a text."
        for key in content
        if not isinstance(key, str)
    ]
    if not sentences:
        try:
            result = model.model_validate(content)
        except pydantic.ValidationError as error:
            sentences = faults.sentences(error, model)
        else:
            sentences = rules.faults(result) if isinstance(result, Config) else []
    if sentences:
        raise ConfigError("\n".join(f"{where}: {sentence}" for sentence in sentences))
    return result
