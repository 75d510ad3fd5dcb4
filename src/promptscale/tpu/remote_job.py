"""A job as a file: what a host needs to know of it, with its identity."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from promptscale.config.settings import Strict


class Items(Strict):
    """A list of Snakemake's with its names: `names` gives one value or several per name."""

    values: tuple[Any, ...] = ()
    names: Mapping[str, Any] = {}


class Task(Strict):
    """One job of a rule with a `script:`; all paths are relative to the folder that it runs in.

    `source` is the script's hash, `files` those of the input files by path (an input that is a
    folder is all files in it). An input at `gs://…` is not among them: the script reads it there.
    """

    rule: str
    script: str
    source: str
    input: Items
    output: Items
    params: Items
    log: Items
    wildcards: Mapping[str, str]
    threads: int
    resources: Mapping[str, Any]
    config: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def id(self) -> str:
        """Names the task by what its results depend on.

        Resources, threads and the rest of the configuration change no result: that is Snakemake's
        own rule for what has to be run again.
        """
        free = {"resources", "threads", "config", "log"}
        content = json.dumps(self.model_dump(mode="json", exclude=free), sort_keys=True)
        return f"{self.rule}-{sha256(content.encode())[:20]}"

    def to_bytes(self) -> bytes:
        """The task as JSON."""
        return self.model_dump_json().encode()


class Done(Strict):
    """The outputs of a finished task: hashes by path, and which declared ones are folders."""

    attempt: str
    files: Mapping[str, str]
    folders: tuple[str, ...]


def sha256(content: bytes) -> str:
    """The hash by which blobs are named."""
    return hashlib.sha256(content).hexdigest()


def within(folder: str, paths: Iterable[str]) -> list[str]:
    """Those paths that lie in a folder."""
    return [path for path in paths if path.startswith(f"{folder}/")]
