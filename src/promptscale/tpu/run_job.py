"""`python -m promptscale.tpu.run_job job.json`: runs a script of the workflow without Snakemake.

The script gets an object `snakemake` made from a `RemoteJob`, and paths relative to the current
folder, so that it needs no code for slices. On a slice with several hosts each host runs it, and
`promptscale.workflow_script` connects the processes.
"""

import datetime
import resource
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from promptscale.tpu.remote_job import RemoteJob


class _NamedList(list[Any]):
    """A list whose named items are attributes and have a dictionary's methods, as in Snakemake."""

    def __init__(self, values: Iterable[Any], names: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.__dict__.update(names)
        self._names = names
        self.keys, self.items, self.get = names.keys, names.items, names.get

    def __getitem__(self, key: Any) -> Any:
        return self._names[key] if isinstance(key, str) else super().__getitem__(key)

    def __str__(self) -> str:
        return " ".join(map(str, self))


def snakemake_object(job: RemoteJob) -> SimpleNamespace:
    """The object `snakemake` for a job's script."""
    lists = {"input": job.input, "output": job.output, "params": job.params, "log": job.log}
    return SimpleNamespace(
        **{name: _NamedList(items.values, items.names) for name, items in lists.items()},
        wildcards=_NamedList(job.wildcards.values(), job.wildcards),
        resources=_NamedList(job.resources.values(), job.resources),
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
    seconds = time.monotonic() - start
    if "benchmark" in job.resources:  # the first columns of Snakemake's files; the memory is in MB
        path = Path(job.resources["benchmark"])
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        clock = datetime.timedelta(seconds=int(seconds))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds:.4f}\t{clock}\t{memory:.2f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
