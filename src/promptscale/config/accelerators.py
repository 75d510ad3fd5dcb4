"""The accelerator types that jobs may run on, from config/accelerators.yaml."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from promptscale.errors import ConfigError

TABLE = Path(__file__).parents[3] / "config" / "accelerators.yaml"

_Count = Annotated[int, Field(ge=1)]
_Amount = Annotated[float, Field(gt=0)]


class Accelerator(BaseModel):
    """A type of TPU slice or GPU; config/accelerators.yaml explains the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["tpu", "gpu"]
    chips: _Count
    hosts: _Count
    devices: _Count
    memory_gib: _Amount
    peak_tflops: _Amount
    utilization: Annotated[float, Field(gt=0, le=1)] = 0.35
    usd_per_hour: _Amount | None = None
    runtime_version: str | None = None
    zones: tuple[str, ...] = ()


@functools.cache
def accelerators() -> Mapping[str, Accelerator]:
    """The accelerators by type.

    Raises:
      ConfigError: the table is missing or not well-formed.
    """
    try:
        content = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
        return {name: Accelerator.model_validate(fields) for name, fields in content.items()}
    except (OSError, yaml.YAMLError, AttributeError, pydantic.ValidationError) as error:
        gist = " ".join(str(error).split())
        raise ConfigError(f"The table {TABLE} cannot be used: {gist}.") from error
