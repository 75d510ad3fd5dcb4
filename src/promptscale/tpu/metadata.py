"""The metadata server of a TPU VM: which host of which slice this machine is."""

import dataclasses
import os
import urllib.request
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Host:
    """A host of a slice; `root` and `slice` are locations in the bucket, of run and slice."""

    index: int
    count: int
    address: str
    root: str
    slice: str
    heartbeat_seconds: float
    home: Path


def this_host() -> Host:
    """The host that this process runs on."""
    return Host(
        index=int(_get("attributes/agent-worker-number")),
        count=int(_get("attributes/promptscale-hosts")),
        address=_get("network-interfaces/0/ip"),
        root=_get("attributes/promptscale-root"),
        slice=_get("attributes/promptscale-slice"),
        heartbeat_seconds=float(_get("attributes/promptscale-heartbeat")),
        home=Path(os.environ["PROMPTSCALE_HOME"]),
    )


def _get(key: str) -> str:
    server = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    request = urllib.request.Request(
        f"http://{server}/computeMetadata/v1/instance/{key}", headers={"Metadata-Flavor": "Google"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())
