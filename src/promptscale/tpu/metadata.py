"""What a TPU VM knows of itself, from its metadata server."""

import dataclasses
import os
import urllib.request
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Host:
    """One host of a slice. `root` and `slice` are the folders of the run and of the slice."""

    index: int
    count: int
    address: str
    root: str
    slice: str
    beat_seconds: float
    home: Path


def this_host() -> Host:
    """The host that this process runs on."""
    return Host(
        index=int(_ask("attributes/agent-worker-number")),
        count=int(_ask("attributes/promptscale-hosts")),
        address=_ask("network-interfaces/0/ip"),
        root=_ask("attributes/promptscale-root"),
        slice=_ask("attributes/promptscale-slice"),
        beat_seconds=float(_ask("attributes/promptscale-beat")),
        home=Path(os.environ["PROMPTSCALE_HOME"]),
    )


def _ask(key: str) -> str:
    server = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    request = urllib.request.Request(
        f"http://{server}/computeMetadata/v1/instance/{key}", headers={"Metadata-Flavor": "Google"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())
