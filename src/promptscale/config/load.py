"""Loads a configuration; an error has a sentence for each fault."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import pydantic
import yaml

from promptscale.config.schema import Config
from promptscale.errors import ConfigError

Model = TypeVar("Model", bound=pydantic.BaseModel)


def load_config(path: Path) -> Config:
    """Reads and validates a YAML configuration.

    Raises:
      ConfigError: no such file, not YAML, an unknown key, a missing key or a bad value.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        place = " ".join(str(error).split())
        raise ConfigError(f"The configuration {path} is not valid YAML: {place}.") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"The configuration {path} is not a mapping of keys to values.")
    return validate(Config, content, str(path))


def validate(model: type[Model], content: Mapping[str, Any], where: str) -> Model:
    """Builds `model` from plain data.

    Raises:
      ConfigError: a line per fault: the key, the fault and what would be right.
    """
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        faults = [_sentence(fault, model) for fault in error.errors()]
        raise ConfigError("\n".join(f"{where}: {fault}" for fault in faults)) from None


def _sentence(fault: Any, model: type[pydantic.BaseModel]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    match fault["type"]:
        case "extra_forbidden":
            known = _keys(model, fault["loc"][:-1])
            near = difflib.get_close_matches(str(fault["loc"][-1]), known, 1)
            keys = f"the keys here are {', '.join(known)}."
            hint = f"did you mean {near[0]!r}?" if near else keys
            return f"there is no key {key!r}; {hint}"
        case "missing":
            return f"the key {key!r} is missing."
        case "value_error":
            message = str(fault["ctx"]["error"])
            return f"{key}: {message}." if key else f"{message}."
        case _:
            problem = fault["msg"].replace("Input should", "it should")
            return f"{key} is {fault['input']!r}; {problem}."


def _keys(model: type[pydantic.BaseModel], location: tuple) -> list[str]:
    """The keys that the schema knows at `location`."""
    for part in location:
        field = model.model_fields.get(str(part))
        nested = [field.annotation, *get_args(field.annotation)] if field else []
        models = [kind for kind in nested if hasattr(kind, "model_fields")]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)
