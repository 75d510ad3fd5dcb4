"""What is wrong with a configuration, in plain sentences."""

import dataclasses
import difflib
import itertools
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import pydantic

_LONGEST = 80  # characters of a value that a sentence shows
# Cuts long values, also those that aliases of YAML make long, before they are written.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 2 * _LONGEST
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 20

# By pydantic's type of error, what the value should be.
_RIGHT = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string": "a text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "dataclass": "a mapping of keys to values",
    "mapping": "a mapping of keys to values",
}
_BOUNDS = {
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
}
_RESERVED = {
    "lm_adaptation.steps": "each key of `checkpoints.lm_adaptation` is a number of steps",
}


def sentences(error: pydantic.ValidationError, model: Any) -> list[str]:
    """A sentence for each fault that pydantic reports of a `model`; missing keys share one."""
    missing: dict[str, list[str]] = {}
    others = []
    for fault in error.errors(include_url=False):
        if fault["type"] == "missing":
            *section, key = map(str, fault["loc"])
            missing.setdefault(".".join(section), []).append(key)
        else:
            others.append(_sentence(fault, model))
    return [_missing(section, keys) for section, keys in missing.items()] + others


def shown(value: Any) -> str:
    """A value as a sentence shows it: on a line, and not too long."""
    text = {None: "empty", True: "true", False: "false"}.get(value) if _plain(value) else None
    text = text or " ".join(_SHORT.repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def known(key: str, values: Iterable[Any], names: Iterable[Any]) -> Iterable[str]:
    """A sentence for the first of the `values` that is not among the `names`."""
    names = list(names)
    for unknown in itertools.islice((value for value in values if value not in names), 1):
        near = difflib.get_close_matches(str(unknown), map(str, names), 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        yield f"{key} has {shown(unknown)}; known are {', '.join(map(str, names))}{hint}"


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _missing(section: str, keys: list[str]) -> str:
    place = f" in {section}" if section else ""
    names = ", ".join(f"{key!r}" for key in keys)
    return (
        f"the keys {names} are missing{place}."
        if keys[1:]
        else f"the key {names} is missing{place}."
    )


def _sentence(fault: Mapping[str, Any], model: Any) -> str:
    location, kind = fault["loc"], fault["type"]
    of_key = location[-1:] == ("[key]",)
    key = ".".join(map(str, location[: -2 if of_key else None]))
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return _unknown_key(location, model)
    if kind == "invalid_key":
        section = ".".join(map(str, location[:-1]))
        return f"{section} has the key {shown(location[-1])}, but a key is a text."
    if kind == "sentence":
        return fault["msg"]
    if kind == "fault":
        return f"{key} {fault['msg']}."
    if kind == "value_error":
        message = str(fault["ctx"]["error"])
        return f"{key}: {message}." if key else f"{message}."
    has = "has the key" if of_key else "is"
    return f"{key} {has} {shown(fault['input'])}; it should be {_right(kind, fault)}."


def _right(kind: str, fault: Mapping[str, Any]) -> str:
    context = fault.get("ctx", {})
    if kind in _BOUNDS:
        bounds = {name: f"{bound:,.10g}" for name, bound in context.items()}
        return _BOUNDS[kind].format(**bounds)
    if kind == "literal_error":
        return context["expected"]
    if kind == "too_long" or kind == "too_short":
        return f"a list of {context.get('max_length', context.get('min_length'))} values"
    name = kind.split("_")[0]
    return _RIGHT.get(name) or fault["msg"][0].lower() + fault["msg"][1:]


def _unknown_key(location: tuple, model: Any) -> str:
    key = ".".join(map(str, location))
    if key in _RESERVED:
        return f"there is no key {key!r}; {_RESERVED[key]}."
    names = _keys(model, location[:-1])
    near = difflib.get_close_matches(str(location[-1]), names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"the keys here are {', '.join(names)}."
    return f"there is no key {shown(key)}; {hint}"


def _keys(model: Any, location: tuple) -> list[str]:
    """The keys that the schema knows at `location`."""
    for part in location:
        fields = getattr(model, "model_fields", {})
        kind = fields[part].annotation if part in fields else model
        models = [nested for nested in _nested(kind) if _fields(nested)]
        if not models:
            return []
        model = models[0]
    return _fields(model)


def _nested(kind: Any) -> Iterable[Any]:
    yield kind
    for argument in get_args(kind):
        yield from _nested(argument)


def _fields(kind: Any) -> list[str]:
    if hasattr(kind, "model_fields"):
        return list(kind.model_fields)
    return (
        [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    )
