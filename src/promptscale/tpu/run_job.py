"""`python -m promptscale.tpu.run_job task.json`: runs a script of the workflow without Snakemake.

The script finds the object `snakemake` that it would find there, made from a task's file
(`promptscale.tpu.remote_job`), and paths relative to the current folder. So it does not know
where it runs. Where a slice has several hosts, each runs it, and `promptscale.workflow_script`
joins them.
"""

import datetime
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from promptscale.tpu.remote_job import Items, Task


class _NamedList(list[Any]):
    """A list some of whose items have names, which are attributes, as in Snakemake."""

    def __init__(self, values: list[Any], names: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._names = dict(names)
        self.__dict__.update(names)

    def __getitem__(self, key: Any) -> Any:
        return self._names[key] if isinstance(key, str) else super().__getitem__(key)

    def __str__(self) -> str:
        return " ".join(map(str, self))

    def keys(self) -> Iterator[str]:
        """The names."""
        return iter(self._names)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and what they name."""
        return iter(self._names.items())

    def get(self, name: str, default: Any = None) -> Any:
        """What has this name, or the default."""
        return self._names.get(name, default)


def stand_in(task: Task) -> SimpleNamespace:
    """The object `snakemake` of a task's script."""
    lists = {name: getattr(task, name) for name in ("input", "output", "params", "log")}
    lists |= {
        name: Items(values=tuple(named.values()), names=named)
        for name, named in (("wildcards", task.wildcards), ("resources", task.resources))
    }
    return SimpleNamespace(
        **{name: _NamedList(list(one.values), one.names) for name, one in lists.items()},
        threads=task.threads,
        config=task.config,
        rule=task.rule,
        scriptdir=str(Path(task.script).parent),
    )


def main(file: str) -> None:
    """Runs the script of the task in a file."""
    task = Task.model_validate_json(Path(file).read_bytes())
    source = compile(Path(task.script).read_bytes(), task.script, "exec")
    start = time.monotonic()
    exec(source, {"__name__": "__main__", "__file__": task.script, "snakemake": stand_in(task)})
    if path := task.resources.get("benchmark"):
        _write_benchmark(Path(path), time.monotonic() - start)


def _write_benchmark(path: Path, seconds: float) -> None:
    """Writes the first columns of Snakemake's benchmark files: time and largest memory in MB."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    clock = datetime.timedelta(seconds=int(seconds))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds:.4f}\t{clock}\t{memory:.2f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
