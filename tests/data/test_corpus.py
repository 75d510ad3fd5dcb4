"""Shards of a corpus in a bucket, of which only the requested spans are read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from promptscale.data.corpus import read_text, write_text
from promptscale.data.prepared import Ragged
from promptscale.errors import DataError
from tests.tpu.fake_bucket import FakeBucket, bucket_environment

DOCUMENTS = Ragged.pack([range(3, 3 + length) for length in (40, 0, 7, 1000)])


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBucket]:
    """A bucket with a shard of 16-bit ids, a shard of 32-bit ids, and a truncated shard."""
    bucket = FakeBucket()
    for name, value in bucket_environment(bucket).items():
        monkeypatch.setenv(name, value)
    wide = Ragged(DOCUMENTS.ids.astype(np.uint32) + 2**16, DOCUMENTS.offsets)
    for name, documents in (("shard", DOCUMENTS), ("wide", wide)):
        write_text(tmp_path / name, documents)
        bucket.put(f"ours/c4/{name}", (tmp_path / name).read_bytes(), None)
    bucket.put("ours/c4/cut", bucket.objects["ours/c4/shard"][1][:-100], None)
    bucket.put("ours/c4/junk", b"\xff" * 100, None)
    falling = DOCUMENTS.offsets.copy()
    falling[1] = 2000
    write_text(tmp_path / "falling", Ragged(DOCUMENTS.ids, falling))
    bucket.put("ours/c4/falling", (tmp_path / "falling").read_bytes(), None)
    yield bucket
    bucket.stop()


@pytest.mark.parametrize("name", ["shard", "wide"])
def test_spans_equal_those_of_the_local_file(bucket: FakeBucket, tmp_path: Path, name: str):
    shard, local = read_text(f"gs://ours/c4/{name}"), read_text(str(tmp_path / name))
    np.testing.assert_array_equal(shard.offsets, local.offsets)
    before, expected = bucket.sent, 0
    spans = [(0, 40), (40, 47), (39, 41), (1046, 1047), (5, 5)]
    waiting = [shard.read_async(*span) for span in spans]
    for span, wait in zip(spans, waiting, strict=True):
        ids = local.read_async(*span)()
        np.testing.assert_array_equal(wait(), ids)
        assert wait().dtype == ids.dtype
        expected += ids.nbytes
    assert bucket.sent - before == expected


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("absent", "There is no file gs:"),
        ("junk", "is damaged|cannot be read"),
        ("falling", "is damaged"),
    ],
)
def test_a_missing_or_damaged_shard_is_an_error(bucket: FakeBucket, name: str, sentence: str):
    with pytest.raises(DataError, match=sentence):
        read_text(f"gs://ours/c4/{name}")


def test_a_truncated_shard_is_an_error(bucket: FakeBucket):
    shard = read_text("gs://ours/c4/cut")
    shard.read_async(0, 40)()
    with pytest.raises(DataError, match="gs://ours/c4/cut"):
        shard.read_async(1000, 1047)()
