"""The accelerator types that jobs may ask for, from config/accelerators.yaml."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml

from promptscale.config.schema import Strict

TABLE = Path(__file__).parents[3] / "config" / "accelerators.yaml"


class Accelerator(Strict):
    """One type; the table's head says what the fields mean."""

    kind: Literal["tpu", "gpu"]
    chips: int
    hosts: int
    devices: int
    memory_gib: float
    peak_tflops: float
    usd_per_hour: float | None = None
    usd_per_hour_spot: float | None = None
    runtime_version: str | None = None
    zones: tuple[str, ...] = ()


@functools.cache
def accelerators() -> Mapping[str, Accelerator]:
    """The table, by type."""
    content = yaml.safe_load(TABLE.read_text())
    return {name: Accelerator.model_validate(fields) for name, fields in content.items()}
