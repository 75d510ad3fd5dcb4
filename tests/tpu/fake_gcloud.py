"""`gcloud storage cp` for a fake bucket, with the arguments that the start-up script uses."""

import sys
from pathlib import Path

from promptscale.errors import TpuError
from promptscale.storage.store import Store, open_parent


def main(storage: str, copy: str, source: str, target: str) -> None:
    assert (storage, copy) == ("storage", "cp")
    if target.startswith("gs://"):
        store, key = open_parent(target, TpuError)
        store.write(key, Path(source).read_bytes())
        return
    store = Store(source.removesuffix("/*"), TpuError)
    for name, content in store.read_many(store.keys()).items():
        Path(target, name).write_bytes(content or b"")


if __name__ == "__main__":
    main(*sys.argv[1:])
