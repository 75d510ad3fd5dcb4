"""Checkpoints in a bucket."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from promptscale import prompts
from promptscale.checkpoints import arrays, t5x
from promptscale.checkpoints.read import open_checkpoint, read_embedding
from promptscale.errors import CheckpointError, StorageError
from promptscale.storage.store import fetch
from tests.tpu.fake_bucket import FakeBucket, _BucketHandler, bucket_environment

from . import synthetic_checkpoints as synthetic

NAME = "t5-data/pretrained_models/t5x/tiny/checkpoint_1100000"
LOCATION = f"gs://{NAME}"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBucket]:
    """A bucket with the synthetic checkpoint at `LOCATION`."""
    bucket = FakeBucket()
    for name, value in bucket_environment(bucket).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 256)
    t5x.write(tmp_path / NAME, synthetic.checkpoint())
    for file in filter(Path.is_file, tmp_path.rglob("*")):
        bucket.put(str(file.relative_to(tmp_path)), file.read_bytes(), None)
    yield bucket
    bucket.stop()


def test_the_folder_form(bucket: FakeBucket):
    expected = synthetic.checkpoint()
    for location in (LOCATION, f"{LOCATION}/", f"{LOCATION}/checkpoint"):
        checkpoint = open_checkpoint(location, synthetic.SHAPES)
        checkpoint = checkpoint.map(lambda _, array: array.whole())
        assert checkpoint.step == expected.step
        synthetic.assert_identical(checkpoint.params, expected.params)
        for name, slots in expected.optimizer.items():
            synthetic.assert_identical(checkpoint.optimizer[name], slots)


def test_one_file(bucket: FakeBucket):
    from flax import serialization
    from flax.traverse_util import unflatten_dict

    params = synthetic.checkpoint().params
    content = serialization.to_bytes(unflatten_dict(params, sep="/"))
    bucket.put("t5-data/whole.msgpack", content, None)
    synthetic.assert_identical(synthetic.read("gs://t5-data/whole.msgpack").params, params)


def test_a_missing_chunk(bucket: FakeBucket):
    del bucket.objects[f"{NAME}/target.token_embedder.embedding/1.0"]
    with pytest.raises(CheckpointError, match=r"token_embedder/embedding.*1\.0.*missing"):
        synthetic.read(LOCATION)


def test_nothing_there(bucket: FakeBucket):
    bucket.objects.clear()
    with pytest.raises(CheckpointError, match=f"There is no checkpoint at {LOCATION}"):
        synthetic.read(LOCATION)


def test_what_is_there_instead_is_said(bucket: FakeBucket):
    run, checkpoint = LOCATION.rsplit("/", 1)
    with pytest.raises(CheckpointError, match=f"folder of a run; .* such as {checkpoint}"):
        synthetic.read(run)
    bucket.put("t5-data/mesh/model.ckpt-10.index", b"", None)
    for location in ("gs://t5-data/mesh", "gs://t5-data/mesh/model.ckpt-10"):
        with pytest.raises(CheckpointError, match=f"no checkpoint at {location}: .* TensorFlow"):
            synthetic.read(location)
    bucket.put("t5-data/hub/model.safetensors", b"", None)
    with pytest.raises(CheckpointError, match=r"Hugging Face model, .* copy the folder to a disk"):
        open_checkpoint("gs://t5-data/hub", synthetic.SHAPES)


def test_a_bucket_without_rights(bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch):
    words = b'{"error": {"message": "The caller does not have storage.objects.get access."}}'
    for method in ("do_GET", "do_POST", "do_DELETE"):
        monkeypatch.setattr(_BucketHandler, method, lambda self: self.answer(403, words))
    for use in (
        lambda: open_checkpoint("gs://private/checkpoint_5", synthetic.SHAPES),
        lambda: t5x.write("gs://private/checkpoint_5", synthetic.checkpoint()),
    ):
        with pytest.raises(CheckpointError, match=r"gs://private/checkpoint_5.*403"):
            use()


def test_a_prompt_in_a_bucket(bucket: FakeBucket, tmp_path: Path):
    prompts.save(tmp_path / "p.npy", np.ones((5, 6)))
    bucket.put("t5-data/p.npy", (tmp_path / "p.npy").read_bytes(), None)
    np.testing.assert_array_equal(prompts.load("gs://t5-data/p.npy", (5, 6)), np.ones((5, 6)))


def test_the_embedding_alone(bucket: FakeBucket):
    """Reads only the embedding's chunks: all other chunks are missing."""
    for name in bucket.names(f"{NAME}/target."):
        if not name.startswith(f"{NAME}/target.token_embedder.embedding/"):
            del bucket.objects[name]
    expected = synthetic.checkpoint().params["token_embedder/embedding"]
    np.testing.assert_array_equal(read_embedding(LOCATION), expected)


def test_a_single_file_is_fetched_whole_or_not_at_all(bucket: FakeBucket, tmp_path: Path):
    bucket.put(f"{NAME}/sentencepiece.model", b"pieces", None)
    fetch(f"{LOCATION}/sentencepiece.model", tmp_path / "new" / "copy.model")
    assert (tmp_path / "new" / "copy.model").read_bytes() == b"pieces"
    with pytest.raises(StorageError, match=f"There is no file {LOCATION}/absent"):
        fetch(f"{LOCATION}/absent", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_public_bucket_is_read_without_credentials(bucket: FakeBucket, tmp_path: Path):
    """Runs in a new process, because TensorStore caches the credentials of a process."""
    nowhere = {"CLOUDSDK_CONFIG": str(tmp_path), "GCE_METADATA_ROOT": "127.0.0.1:9"}
    without = {name: value for name, value in os.environ.items() if not name.startswith("GOOGLE_")}
    program = (
        f"from promptscale.checkpoints import t5x; print(t5x.open_checkpoint({LOCATION!r}).step)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=without | nowhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"{synthetic.checkpoint().step}\n"
    assert bucket.credentials == {None}
