"""Loads a configuration; an error has a sentence for each fault."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from promptscale.config import faults, rules
from promptscale.config.schema import Config
from promptscale.errors import ConfigError

Model = TypeVar("Model", bound=pydantic.BaseModel)


_TAG = "tag:yaml.org,2002:"
# The plain values that mean the same in YAML 1.1, which PyYAML reads, and in YAML 1.2.
_VALUES = {
    "str": "(?s:.*)",
    "null": "~|null|Null|NULL|",
    "merge": "<<",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?(0|[1-9][0-9]{0,99})",
    "float": r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}


class _Loader(yaml.SafeLoader):
    """Refuses what PyYAML reads in another way than a reader of YAML 1.2, and tags.

    A key that a mapping has twice is refused too; PyYAML would take the last.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        node: Any = super().compose_node(parent, index)
        for fault in _faults(node):
            raise ConfigError(f"line {node.start_mark.line + 1} has {fault}")
        return node


def _faults(node: Any) -> Iterator[str]:
    """What is wrong with a node of YAML; its parts are looked at before it."""
    kind = node.tag.removeprefix(_TAG)
    if not isinstance(node, yaml.ScalarNode):
        if kind not in ("map", "seq"):
            yield f"the tag {kind!r}; a configuration has no tags"
    elif kind not in (*_VALUES, "timestamp"):
        yield f"the tag {kind!r}; a configuration has no tags"
    elif not re.fullmatch(_VALUES.get(kind, "(?!)"), node.value):
        yield (
            f"the value {faults.shown(node.value)}, which has another meaning in YAML 1.1 than in "
            "YAML 1.2; write numbers in decimal digits, true or false, and other texts in quotes"
        )
    if isinstance(node, yaml.MappingNode):
        yield from _faults_of_keys(node)


def _faults_of_keys(node: yaml.MappingNode) -> Iterator[str]:
    lines: dict[str, int] = {}
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        kind, line = key.tag.removeprefix(_TAG), key.start_mark.line + 1
        if kind not in ("str", "int", "merge"):
            yield f"the key {faults.shown(key.value)}; a key is a text or a whole number"
            return
        name = str(int(key.value)) if kind == "int" else key.value
        if name in lines:
            yield f"the key {name!r} twice, in line {lines[name]} and in line {line}"
            return
        lines[name] = line


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
        advice = "" if path.is_absolute() else f" Relative paths start at {Path.cwd()}."
        raise ConfigError(
            f"The configuration {path} cannot be read: {error.strerror}.{advice}"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"The configuration {path} is not UTF-8 in line {line}.") from error
    except ConfigError as error:
        raise ConfigError(f"The configuration {path} is refused: {error}.") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        place = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"The configuration {path} is not valid YAML: {place}.") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"The configuration {path} is not a mapping of keys to values.")
    return content


def overlaid(content: Mapping[Any, Any], arguments: Iterable[str]) -> dict[Any, Any]:
    """The content with the values of `key=value` arguments, as `--config` takes them.

    A value is YAML. A mapping changes the keys that it has and leaves the others.

    Raises:
      ConfigError: a value is not YAML, or has a key twice.
    """
    result = dict(content)
    for argument in arguments:
        key, _, text = argument.partition("=")
        try:
            value = yaml.load(text, _Loader)
        except (yaml.YAMLError, ValueError, TypeError, RecursionError, ConfigError) as error:
            problem = " ".join(str(error).split()).rstrip(".")
            raise ConfigError(f"--config {key} cannot be read: {problem}.") from error
        result = merged(result, {key: value})
    return result


def merged(content: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    """The content with the values of `changes`; mappings are merged, as Snakemake merges files."""
    result = dict(content)
    for key, value in changes.items():
        before: Any = result.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[key] = merged(before, value) if both else value
    return result


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
