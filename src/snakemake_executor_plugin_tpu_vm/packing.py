"""Packs a job of Snakemake's as a `PendingJob`: its description and the files that it needs."""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

from promptscale.errors import TpuError
from promptscale.tpu.cloud import SliceType
from promptscale.tpu.log_copy import LogCopy
from promptscale.tpu.pending_job import PendingJob
from promptscale.tpu.remote_job import Items, RemoteJob, sha256

_TIMESTAMP = ".snakemake_timestamp"  # Snakemake writes it into every folder that is an output
_OUTSIDE = "outside"  # folder on a host for files that are outside of the working directory


@functools.cache
def _hash(path: Path, size: int, mtime_ns: int) -> str:
    """The SHA-256 hash of a file; a change of size or time makes the cached hash invalid."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_file(path: Path) -> str:
    return _hash(path, path.stat().st_size, path.stat().st_mtime_ns)


def pack_job(
    job: JobExecutorInterface, config: Mapping[str, Any], slice_type: SliceType, location: str
) -> PendingJob:
    """Describes a job for a host; `location` is the run's folder in the bucket.

    The resources `state`, `model` and `events` name places that outlive the slice; those that are
    not at `gs://` become places below `persistent` in the run's folder. Inputs that the resource
    `in_place` names are not copied to hosts; the script gets their locations in the bucket.

    Raises:
      TpuError: the job's rule has no Python script.
    """
    if job.is_group() or not str(job.rule.script or "").endswith(".py"):
        raise TpuError(
            f"Rule {job.name} asks for a TPU (`tpu_type`), so it should have a Python `script:`."
        )
    rule = job.rule
    script = Path(rule.basedir.join(rule.script).get_path_or_uri(secret_free=True)).resolve()
    inputs = dict(_files(map(str, job.input)))
    digests = {path: _hash_file(file) for path, file in inputs.items()}
    in_place = {
        host_path(path): f"{location}/blobs/{digests[host_path(path)]}"
        for name in str(job.resources.get("in_place", "")).split()
        for path in _paths(job.input.get(name, []))
    }
    source = _hash_file(script)
    # Snakemake expects the rule's benchmark file like an output; the host writes it.
    output = _items(job.output, host_path)
    benchmark = {"benchmark": host_path(str(job.benchmark))} if job.benchmark else {}
    remote = RemoteJob(
        rule=rule.name,
        script=f"{_OUTSIDE}/scripts/{script.name}",
        source=source,
        input=_items(job.input, lambda path: in_place.get(host_path(path), host_path(path))),
        output=Items(values=(*output.values, *benchmark.values()), names=output.names),
        params=_items(job.params, _to_json),
        log=_items(job.log, host_path),
        wildcards=dict(job.wildcards_dict),
        threads=job.threads,
        resources={
            name: _persistent(str(value), location)
            if name in ("state", "model", "events")
            else value
            for name, value in job.resources.items()
            if isinstance(value, int | str)
        }
        | benchmark,
        config=dict(config),
        files={path: digest for path, digest in digests.items() if path not in in_place},
    )
    return PendingJob(
        remote=remote,
        slice_type=slice_type,
        blobs={digest: inputs[path] for path, digest in digests.items()} | {source: script},
        outputs={
            host_path(path): Path(path)
            for path in map(str, [*job.output, *([job.benchmark] if benchmark else [])])
        },
        log=LogCopy(Path(str(job.log[0]) if job.log else os.devnull)),
    )


def host_path(path: str) -> str:
    """The path on a host, relative to the script's folder, of a file of this machine."""
    pure = PurePath(os.path.normpath(path))
    if not pure.is_absolute() and ".." not in pure.parts:
        return str(path)
    return str(PurePath(_OUTSIDE, sha256(str(pure.parent).encode())[:8], pure.name))


def _persistent(path: str, location: str) -> str:
    return path if path.startswith("gs://") else f"{location}/persistent/{path.lstrip('/')}"


def _files(paths: Iterable[str]) -> Iterable[tuple[str, Path]]:
    """Pairs of a path on the host and a file here, for files and for all files in folders."""
    for name in paths:
        path = Path(name)
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file() and file.name != _TIMESTAMP:
                    yield f"{host_path(name)}/{file.relative_to(path).as_posix()}", file
        else:
            yield host_path(name), path


def _items(named_list: Any, convert: Callable[[Any], Any]) -> Items:
    """Converts a named list of Snakemake's, in which a name may stand for a list of items."""
    names = {
        name: [convert(item) for item in value] if hasattr(value, "_names") else convert(value)
        for name, value in named_list.items()
    }
    return Items(values=tuple(convert(item) for item in named_list), names=names)


def _paths(value: Any) -> list[str]:
    """The paths that a name of an input stands for."""
    return [str(path) for path in value] if isinstance(value, list) else [str(value)]


def _to_json(value: Any) -> Any:
    """Converts a parameter to JSON's types; sets become sorted lists, other objects strings."""

    def convert(item: Any) -> Any:
        return sorted(item) if isinstance(item, set | frozenset) else str(item)

    return json.loads(json.dumps(value, default=convert))
