"""The accelerator types that jobs may run on, from the package's accelerators.yaml."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import yaml
from pydantic import Field

from promptscale.config.values import Positive, Strict
from promptscale.errors import ConfigError

TABLE = Path(__file__).with_name("accelerators.yaml")

_Amount = Annotated[float, Field(gt=0)]
_Share = Annotated[float, Field(gt=0, le=1)]
Work = Literal["training", "decoding"]  # the encoder of an evaluation counts as training


class Accelerator(Strict):
    """A type of TPU slice or GPU; the head of accelerators.yaml says what the fields mean."""

    kind: Literal["tpu", "gpu"]
    chips: Positive
    hosts: Positive
    devices: Positive
    memory_gib: _Amount
    peak_tflops: _Amount
    utilization: _Share = 0.35
    decoding_utilization: _Share = 0.05
    measured: Mapping[Work, Mapping[str, _Share]] = Field(default={})
    usd_per_hour: _Amount | None = None
    runtime_version: str | None = None
    zones: tuple[str, ...] = ()

    def share_of_peak(self, work: Work, size: str) -> tuple[float, Literal["measured", "assumed"]]:
        """The share of the peak at which a size does this work, and where the share is from."""
        if size in (measured := self.measured.get(work, {})):
            return measured[size], "measured"
        assumed = self.utilization if work == "training" else self.decoding_utilization
        return assumed, "assumed"


@functools.cache
def accelerators() -> Mapping[str, Accelerator]:
    """Reads accelerators.yaml: the accelerators by type, such as `v3-32`.

    Raises:
      ConfigError: The file is missing or malformed.
    """
    try:
        content = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
        return {name: Accelerator.model_validate(fields) for name, fields in content.items()}
    except (OSError, yaml.YAMLError, AttributeError, pydantic.ValidationError) as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"The table {TABLE} cannot be used: {problem}.") from error
