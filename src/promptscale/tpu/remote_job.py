"""The description of a job that runs on a slice, as a JSON file."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from promptscale.config.values import Strict


class Items(Strict):
    """A list of Snakemake's; `names` maps the name of each named item, or items, to its value."""

    values: tuple[Any, ...] = ()
    names: Mapping[str, Any] = {}


class RemoteJob(Strict):
    """A job of a rule with a `script:`; paths are relative to the folder that it runs in.

    `files` has the hash of each input file, also of the files in input folders. It has no inputs at
    `gs://`, which the script reads in the bucket.
    """

    rule: str
    script: str
    source: str  # the hash of the script
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
        """The rule's name and a hash of everything that the job's results depend on.

        Resources, threads, log and configuration are not hashed. Snakemake too does not rerun a
        job when one of these changes.
        """
        excluded = {"resources", "threads", "config", "log"}
        content = json.dumps(self.model_dump(mode="json", exclude=excluded), sort_keys=True)
        return f"{self.rule}-{sha256(content.encode())[:20]}"


def sha256(content: bytes) -> str:
    """The hash that names blobs."""
    return hashlib.sha256(content).hexdigest()
