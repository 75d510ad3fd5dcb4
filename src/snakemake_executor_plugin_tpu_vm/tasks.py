"""From a job of Snakemake's to a task of ours."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

from promptscale.errors import TpuError
from promptscale.tpu.cloud import Shape
from promptscale.tpu.pending_job import Work
from promptscale.tpu.remote_job import Items, Task, sha256

_TIMESTAMP = ".snakemake_timestamp"  # Snakemake's own, in every folder that is an output
_KEPT = ("state", "model")  # resources that say where a job keeps what outlives its slice
_IN_PLACE = "in_place"  # a resource: names of inputs that a script reads from the bucket by itself
_OUTSIDE = "outside"  # where files from outside of the working directory lie on a host


class Hashes:
    """Hashes of files, each computed once for as long as the file stays as it is."""

    def __init__(self) -> None:
        """Knows none."""
        self._known: dict[tuple[str, int, int], str] = {}

    def of(self, path: Path) -> str:
        """The hash of a file's content."""
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            with path.open("rb") as opened:
                self._known[key] = hashlib.file_digest(opened, "sha256").hexdigest()
        return self._known[key]


def work_of(
    job: JobExecutorInterface, config: Mapping[str, Any], shape: Shape, hashes: Hashes, bucket: str
) -> Work:
    """The task of a job with the files that it reads and writes.

    What the job keeps beyond its slice (resources `state` and `model`) and is not in a bucket
    already goes into the folder `kept` of the run's `bucket`. Inputs that the resource `in_place`
    names are not brought to the hosts: in their place stand their locations in the bucket.

    Raises:
      TpuError: the job's rule has no Python script.
    """
    if job.is_group() or not str(job.rule.script or "").endswith(".py"):
        raise TpuError(
            f"Rule {job.name} asks for a TPU (`tpu_type`) but has no Python `script:` to send."
        )
    rule = job.rule
    script = Path(rule.basedir.join(rule.script).get_path_or_uri(secret_free=True)).resolve()
    inputs = dict(_files(map(str, job.input)))
    digests = {placed: hashes.of(path) for placed, path in inputs.items()}
    in_place = {
        place(path): f"{bucket}/blobs/{digests[place(path)]}"
        for name in str(job.resources.get(_IN_PLACE, "")).split()
        for path in _several(job.input.get(name, []))
    }
    source = hashes.of(script)
    # Snakemake expects the rule's benchmark file like an output; the host writes it.
    output = _items(job.output, place)
    benchmark = {"benchmark": place(str(job.benchmark))} if job.benchmark else {}
    task = Task(
        rule=rule.name,
        script=f"{_OUTSIDE}/scripts/{script.name}",
        source=source,
        input=_items(job.input, lambda path: in_place.get(place(path), place(path))),
        output=Items(values=(*output.values, *benchmark.values()), names=output.names),
        params=_items(job.params, _plain),
        log=_items(job.log, place),
        wildcards=dict(job.wildcards_dict),
        threads=job.threads,
        resources={
            name: _kept(str(value), f"{bucket}/kept") if name in _KEPT else value
            for name, value in job.resources.items()
            if isinstance(value, int | str)
        }
        | benchmark,
        config=dict(config),
        files={placed: one for placed, one in digests.items() if placed not in in_place},
    )
    blobs = {one: inputs[placed] for placed, one in digests.items()} | {source: script}
    return Work(
        task=task,
        shape=shape,
        blobs=blobs,
        outputs={
            place(path): Path(path)
            for path in map(str, [*job.output, *([job.benchmark] if benchmark else [])])
        },
        log=Path(str(job.log[0])) if job.log else None,
    )


def place(path: str) -> str:
    """Where a file of the controller's lies on a host, relative to the script's folder."""
    pure = PurePath(os.path.normpath(path))
    if not pure.is_absolute() and ".." not in pure.parts:
        return str(path)
    return str(PurePath(_OUTSIDE, sha256(str(pure.parent).encode())[:8], pure.name))


def _kept(location: str, folder: str) -> str:
    return location if location.startswith("gs://") else f"{folder}/{location.lstrip('/')}"


def _files(paths: Iterable[str]) -> Iterable[tuple[str, Path]]:
    """Pairs of a place and a file, for files and for all files in folders."""
    for given in paths:
        path = Path(given)
        if path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.is_file() and inner.name != _TIMESTAMP:
                    yield f"{place(given)}/{inner.relative_to(path).as_posix()}", inner
        else:
            yield place(given), path


def _items(named: Any, convert: Callable[[Any], Any]) -> Items:
    """One of Snakemake's lists with names."""
    names = {
        name: [convert(one) for one in value] if _is_several(value) else convert(value)
        for name, value in named.items()
    }
    return Items(values=tuple(convert(one) for one in named), names=names)


def _is_several(value: Any) -> bool:
    """Whether a name stands for several values: then it is again one of Snakemake's lists."""
    return isinstance(value, list) and hasattr(value, "_names")


def _several(value: Any) -> list[str]:
    """The paths that a name stands for."""
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _plain(value: Any) -> Any:
    """A parameter as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [_plain(one) for one in items]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
