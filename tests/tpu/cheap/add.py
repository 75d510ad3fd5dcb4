"""Writes the sum of numbers after some seconds, or fails as the parameter `fail` says."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

host = int(os.environ.get("JAX_PROCESS_ID", 0))
print(f"job {snakemake.params.job} begins on host {host}", flush=True)
numbers = list(map(int, Path(snakemake.input.numbers).read_text().split()))
time.sleep(snakemake.params.seconds)
match snakemake.params.fail.split():
    case ["always"]:
        sys.exit(f"host {host} cannot add {numbers[0]}")
    case ["once", marker] if host == 0 and not Path(marker).exists():
        Path(marker).touch()
        sys.exit("not the first time")
    case ["on", number] if int(number) == host:
        sys.exit(f"host {host} has had enough")
    case ["on", _]:
        time.sleep(600)
if host == 0:
    Path(snakemake.output.total).write_text(f"{sum(numbers)}\n")
    parts = Path(snakemake.output["parts"])
    (parts / "deep").mkdir(parents=True)
    (parts / "deep" / "first.txt").write_text(str(numbers[0]))
    (parts / "empty.txt").touch()
print(f"job {snakemake.wildcards.job} ends", flush=True)
