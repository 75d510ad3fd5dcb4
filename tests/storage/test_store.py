"""A store gives the same answers in a local folder and in a bucket."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptscale.errors import DataError, StorageError
from promptscale.storage.store import Store, open_parent
from tests.tpu.fake_bucket import FakeBucket, bucket_environment

FILES = {"a/1": b"one", "a/2": b"", "ab/3": b"three", "b": bytes(range(256))}


@pytest.fixture(params=["local", "bucket"])
def location(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    bucket = FakeBucket()
    for name, value in bucket_environment(bucket).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "store").mkdir()
    yield str(tmp_path / "store") if request.param == "local" else f"gs://{uuid.uuid4()}/store"
    bucket.stop()


@pytest.fixture
def store(location: str) -> Store:
    """A store with `FILES`, which raises DataError."""
    store = Store(location, DataError)
    store.write_many(FILES)
    return store


def test_files_are_read_and_listed(store: Store):
    assert store.read_many([*FILES, "a", "absent"]) == FILES | {"a": None, "absent": None}
    assert store.keys() == set(FILES)
    assert store.keys("a") == {"a/1", "a/2", "ab/3"} and store.keys("a/") == {"a/1", "a/2"}


def test_ranges_of_bytes_are_read(store: Store):
    waits = [store.read_range("b", 10, 12), store.read_range("b", 5, 5)]
    assert [wait() for wait in waits] == [b"\x0a\x0b", b""]
    with pytest.raises(DataError, match=f"There is no file {store.location}/absent"):
        store.read_range("absent", 0, 1)()
    with pytest.raises(DataError, match=f"{store.location}/b"):
        store.read_range("b", 250, 260)()


def test_an_existing_file_is_replaced_only_by_write(store: Store):
    store.write_if_absent("b", b"second")
    store.write_if_absent("new", b"first")
    store.write_if_absent("new", b"second")
    assert store.read("b") == FILES["b"] and store.read("new") == b"first"
    store.write("b", b"second")
    assert store.read("b") == b"second"


def test_files_are_deleted_by_key_and_by_prefix(store: Store):
    store.delete("absent")
    store.delete("a/1")
    assert store.keys() == {"a/2", "ab/3", "b"}
    store.delete_prefix("a/")
    assert store.keys() == {"ab/3", "b"}
    store.delete_prefix("a")
    assert store.keys() == {"b"}


def test_an_error_names_the_file_in_the_class_of_the_store(tmp_path: Path):
    (tmp_path / "file").touch()
    store, key = open_parent(str(tmp_path / "file" / "below"))
    with pytest.raises(StorageError, match=f"The file {tmp_path}/file/below cannot be written"):
        store.write(key, b"")
    with pytest.raises(DataError, match=r"gs://Bad_Bucket!/ cannot be opened"):
        Store("gs://Bad_Bucket!", DataError)
