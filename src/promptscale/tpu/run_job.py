"""`python -m promptscale.tpu.run_job job.json`: runs a script of the workflow without Snakemake.

The script gets an object `snakemake` made from a `RemoteJob`, and paths relative to the current
folder, so that it needs no code for slices. On a slice with several hosts each host runs it, and
`promptscale.workflow_script` connects the processes.
"""

import datetime
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from promptscale.tpu.remote_job import Items, RemoteJob


class _NamedList(list[Any]):
    """A list whose named items are attributes too, as in Snakemake."""

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
        """Pairs of a name and its value."""
        return iter(self._names.items())

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name, or the default."""
        return self._names.get(name, default)


def snakemake_object(job: RemoteJob) -> SimpleNamespace:
    """The object `snakemake` for a job's script."""
    lists = {name: getattr(job, name) for name in ("input", "output", "params", "log")}
    for name, names in (("wildcards", job.wildcards), ("resources", job.resources)):
        lists[name] = Items(values=tuple(names.values()), names=names)
    return SimpleNamespace(
        **{name: _NamedList(list(items.values), items.names) for name, items in lists.items()},
        threads=job.threads,
        config=job.config,
        rule=job.rule,
        scriptdir=str(Path(job.script).parent),
    )


def main(file: str) -> None:
    """Runs the script of the `RemoteJob` in a file, and writes its benchmark file."""
    job = RemoteJob.model_validate_json(Path(file).read_bytes())
    source = compile(Path(job.script).read_bytes(), job.script, "exec")
    names = {"__name__": "__main__", "__file__": job.script, "snakemake": snakemake_object(job)}
    start = time.monotonic()
    exec(source, names)
    if path := job.resources.get("benchmark"):
        _write_benchmark(Path(path), time.monotonic() - start)


def _write_benchmark(path: Path, seconds: float) -> None:
    """Writes the first columns of Snakemake's benchmark files: time and largest memory in MB."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    clock = datetime.timedelta(seconds=int(seconds))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds:.4f}\t{clock}\t{memory:.2f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
