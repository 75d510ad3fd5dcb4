"""The types of the configuration's values, with their bounds.

A validator raises a fault (`fault`), which says what a value does or has: "has a value twice: 1".
The message that a user reads starts with the key (`promptscale.config.faults`).
"""

import os
import re
import unicodedata
from collections.abc import Callable, Hashable, Sized
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WrapValidator
from pydantic_core import PydanticCustomError

from promptscale.config.faults import shown
from promptscale.errors import ConfigError
from promptscale.storage.location import is_remote, resolve

_LARGEST = 2**31 - 1  # of an int32: JAX computes with no larger ones
# A checkpoint's pre-training and adaptation and a training from it: their sum is an int32 too.
_MOST_STEPS = 500_000_000
_LONGEST_PART, _LONGEST_PATH = 255, 1000  # bytes that file systems allow, and leave to us
_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")

Value = TypeVar("Value", bound=Hashable)


class Strict(BaseModel):
    """Immutable, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def fault(text: str) -> PydanticCustomError:
    """A fault of a value; `text` follows the key and has no full stop."""
    return PydanticCustomError("fault", "{text}", {"text": text})


def sentence(text: str) -> PydanticCustomError:
    """A fault whose `text` is a whole sentence, with the key in it."""
    return PydanticCustomError("sentence", "{text}", {"text": text})


def _number(value: Any) -> Any:
    """Reads `1e-4`, which is a number in YAML 1.2 and a text in PyYAML's YAML 1.1."""
    scientific = isinstance(value, str) and _SCIENTIFIC.fullmatch(value)
    return float(value) if scientific else value


def _whole(key: Any) -> Any:
    if type(key) is int or (isinstance(key, str) and re.fullmatch("0|[1-9][0-9]{0,17}", key)):
        return key
    raise fault(f"has the key {shown(key)}; it should be a whole number")


Positive = Annotated[int, Field(strict=True, ge=1, le=_LARGEST)]
NotNegative = Annotated[int, Field(strict=True, ge=0, le=_LARGEST)]
Length = Annotated[int, Field(strict=True, ge=2, le=_LARGEST)]  # a token and EOS at least
Steps = Annotated[int, Field(strict=True, ge=1, le=_MOST_STEPS)]
StepsOrNone = Annotated[int, Field(strict=True, ge=0, le=_MOST_STEPS)]
# As a key, which is a text in JSON.
StepsKey = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=_MOST_STEPS)]
# The bounds keep what is computed with a number inside float32.
Number = Annotated[float, Field(strict=True, ge=-1e30, le=1e30), BeforeValidator(_number)]
PositiveNumber = Annotated[float, Field(strict=True, ge=1e-30, le=1e30), BeforeValidator(_number)]
NotNegativeNumber = Annotated[float, Field(strict=True, ge=0, le=1e30), BeforeValidator(_number)]
Rate = Annotated[float, Field(strict=True, ge=0, lt=1), BeforeValidator(_number)]
Share = Annotated[float, Field(strict=True, gt=0, le=1), BeforeValidator(_number)]
Flag = Annotated[bool, Field(strict=True)]


def _some(values: Sized) -> Sized:
    if not values:
        raise fault("has no value; it needs at least one")
    return values


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise fault(f"has a value twice: {value}")
    return values


Distinct = Annotated[tuple[Value, ...], AfterValidator(_distinct)]  # no value twice
Values = Annotated[Distinct[Value], AfterValidator(_some)]  # nor is it empty
Table = Annotated[dict[str, Value], AfterValidator(_some)]  # at least one entry


def _range(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise fault(f"is {list(bounds)}; it should be [low, high] with low not above high")
    return bounds


def either(alternatives: str) -> WrapValidator:
    """Says of a value that fits no type of a union that it should be one of `alternatives`."""

    def check(value: Any, validate: Callable[[Any], Any]) -> Any:
        try:
            return validate(value)
        except ValueError:
            raise fault(f"is {shown(value)}; it should be {alternatives}") from None

    return WrapValidator(check)


Range = Annotated[tuple[PositiveNumber, PositiveNumber], AfterValidator(_range)]


def _text(value: str) -> str:
    if not value.strip():
        raise fault(f"is {shown(value)}; it should be a text")
    if any(unicodedata.category(letter) == "Cs" for letter in value):
        raise fault(f"is {shown(value)}; it should be a text without half characters (surrogates)")
    return value


def _line(value: str) -> str:
    if not re.search("[A-Za-z0-9]", value) or not value.isprintable() or len(value) > 60:
        raise fault(
            f"is {shown(value)}; it should be a line of at most 60 characters, with a "
            "letter or digit"
        )
    return value


def _name(value: str) -> str:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,39}", value):
        raise fault(
            f"has the name {shown(value)}; a name has at most 40 letters (A-Z, a-z), digits, dots, "
            "dashes and underscores, and starts with a letter or digit"
        )
    return value


def _location(value: str) -> str:
    """The location without `~`; a location in a bucket in its normal form."""
    if not value.isprintable():
        raise fault(f"is {shown(value)}; it should be a path without line breaks and the like")
    lengths = [len(part.encode()) for part in value.split("/")]
    if max(lengths) > _LONGEST_PART or sum(lengths) + len(lengths) > _LONGEST_PATH:
        raise fault(
            f"is {shown(value)}; a path has at most {_LONGEST_PATH} bytes, and a part of it at "
            f"most {_LONGEST_PART}"
        )
    try:
        location = resolve(value, ConfigError)
    except ConfigError as error:
        raise fault(f"is refused: {str(error).rstrip('.')}") from None
    if is_remote(value):
        return location
    return str(Path(value).expanduser()) if value.startswith("~") else value


def _without_braces(value: str) -> str:
    if re.search("[{}]", value):
        raise fault(
            f"is {shown(value)}; it should have no braces, which Snakemake reads as wildcards"
        )
    return value


def _local(value: str) -> str:
    if is_remote(value):
        raise fault(f"is {shown(value)}; it should be a local path")
    return os.path.normpath(value)


def _with_size(value: str) -> str:
    _without_braces(value.replace("{size}", ""))
    return value


def _corpus(value: str) -> str:
    if not re.fullmatch(r"\w+(/[\w.-]+)?:\d+\.\d+\.\d+", value):
        raise fault(
            f"is {shown(value)}; it should be a TFDS name with its version, as c4/en:2.2.0 is"
        )
    return value


def _or_empty(value: Any, validate: Callable[[Any], Any]) -> Any:
    return value if value == "" else validate(value)


Text = Annotated[str, AfterValidator(_text)]
Label = Annotated[str, AfterValidator(_line)]  # prints in captions and names a folder
Name = Annotated[str, AfterValidator(_name)]  # is part of paths and of wildcards
# A path or a location in a bucket. `~` becomes the home folder.
Location = Annotated[str, AfterValidator(_location), AfterValidator(_without_braces)]
Corpus = Annotated[str, AfterValidator(_corpus)]
LocalPath = Annotated[Location, AfterValidator(_local)]
CheckpointSource = Annotated[str, AfterValidator(_location), AfterValidator(_with_size)]
OptionalText = Annotated[Text, WrapValidator(_or_empty)]  # "" is none
OptionalLocation = Annotated[Location, WrapValidator(_or_empty)]
OptionalLocalPath = Annotated[LocalPath, WrapValidator(_or_empty)]
