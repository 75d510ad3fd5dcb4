"""`gcloud storage cp` for a fake bucket, as far as the start-up script goes."""

import sys
from pathlib import Path

from promptscale.tpu.bucket import Bucket


def main(storage: str, copy: str, source: str, target: str) -> None:
    assert (storage, copy) == ("storage", "cp")
    if target.startswith("gs://"):
        folder, _, name = target.rpartition("/")
        Bucket(folder).write(name, Path(source).read_bytes())
        return
    bucket = Bucket(source.removesuffix("/*"))
    for name, content in bucket.read_all(bucket.keys("")).items():
        Path(target, name).write_bytes(content or b"")


if __name__ == "__main__":
    main(*sys.argv[1:])
