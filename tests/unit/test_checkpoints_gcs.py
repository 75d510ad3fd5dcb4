"""Checkpoints in a bucket, served by the few lines of Google's JSON API that reading needs."""

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from promptscale.checkpoints import arrays, storage, t5x
from promptscale.checkpoints.load import load, read_embedding
from promptscale.errors import CheckpointError

from . import synthetic_checkpoints as synthetic

LOCATION = "gs://t5-data/pretrained_models/t5x/tiny/checkpoint_1100000"


class _Bucket(BaseHTTPRequestHandler):
    """GET /storage/v1/b/BUCKET/o/OBJECT?alt=media: the object's bytes, read anonymously."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    root: Path

    def do_GET(self) -> None:
        bucket, _, name = urlsplit(self.path).path.removeprefix("/storage/v1/b/").partition("/o/")
        file = self.root / bucket / unquote(name)
        found = file.is_file() and "Authorization" not in self.headers
        content = file.read_bytes() if found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-goog-generation", "1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_) -> None: ...


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # TensorStore connects many times at once


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder behind `LOCATION`, with the synthetic checkpoint in it."""
    handler = type("Handler", (_Bucket,), {"root": tmp_path})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 256)
    folder = tmp_path / LOCATION.removeprefix("gs://")
    t5x.write(folder, synthetic.checkpoint())
    yield folder
    server.shutdown()
    server.server_close()


def test_the_folder_form(bucket: Path):
    expected = synthetic.checkpoint()
    for location in (LOCATION, f"{LOCATION}/", f"{LOCATION}/checkpoint"):
        checkpoint = load(location, synthetic.SHAPES)
        assert checkpoint.step == expected.step
        synthetic.assert_identical(checkpoint.params, expected.params)
        for name, slots in expected.optimizer.items():
            synthetic.assert_identical(checkpoint.optimizer[name], slots)


def test_one_file(bucket: Path):
    from flax import serialization
    from flax.traverse_util import unflatten_dict

    params = synthetic.checkpoint().params
    file = bucket.with_name("whole.msgpack")
    file.write_bytes(serialization.to_bytes(unflatten_dict(params, sep="/")))
    read = t5x.read(LOCATION.replace(bucket.name, file.name))
    synthetic.assert_identical(read.params, params)


def test_a_missing_chunk(bucket: Path):
    (bucket / "target.token_embedder.embedding" / "1.0").unlink()
    with pytest.raises(CheckpointError, match=r"token_embedder/embedding.*1\.0.*missing"):
        t5x.read(LOCATION)


def test_nothing_there(bucket: Path):
    shutil.rmtree(bucket)
    with pytest.raises(CheckpointError, match=f"There is no T5X checkpoint at {LOCATION}"):
        t5x.read(LOCATION)


def test_the_embedding_alone(bucket: Path):
    """Only its chunks are read: the others may be missing."""
    for folder in bucket.glob("target.*"):
        if folder.name != "target.token_embedder.embedding":
            shutil.rmtree(folder)
    expected = synthetic.checkpoint().params["token_embedder/embedding"]
    np.testing.assert_array_equal(read_embedding(LOCATION), expected)


def test_a_single_file_is_fetched_whole_or_not_at_all(bucket: Path, tmp_path: Path):
    (bucket / "sentencepiece.model").write_bytes(b"pieces")
    storage.fetch(f"{LOCATION}/sentencepiece.model", tmp_path / "own" / "copy.model")
    assert (tmp_path / "own" / "copy.model").read_bytes() == b"pieces"
    with pytest.raises(CheckpointError, match=f"There is no file {LOCATION}/absent"):
        storage.fetch(f"{LOCATION}/absent", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
