"""A store gives the same answers in a local folder and in a bucket."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptscale.errors import DataError, StorageError
from promptscale.storage.store import Store, fetch, open_parent
from tests.tpu.fake_bucket import FakeBucket, _BucketHandler, bucket_environment

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
def store_in_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    bucket = FakeBucket()
    for name, value in bucket_environment(bucket).items():
        monkeypatch.setenv(name, value)
    yield Store(f"gs://{uuid.uuid4()}/store", DataError)
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


def test_names_are_those_of_the_top(store: Store):
    assert store.names() == {"a", "ab", "b"}


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
    with pytest.raises(DataError, match=r"gs://Bad_Bucket! names no bucket"):
        Store("gs://Bad_Bucket!", DataError)
    with pytest.raises(DataError, match="gs://bucket is a bucket; it should be a file"):
        open_parent("gs://bucket", DataError)
    with pytest.raises(StorageError, match="two slashes"):
        Store(Path("gs://bucket/folder"))


def test_a_location_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Store("~/folder").write("file", b"content")
    assert (tmp_path / "folder" / "file").read_bytes() == b"content"
    fetch("~/folder/file", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_what_is_not_a_file_is_not_read(tmp_path: Path):
    """A named pipe would block its reader."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    store = Store(tmp_path, DataError)
    assert store.read_many(["pipe", "dangling"]) == {"pipe": None, "dangling": None}
    for key, words in {"loop": "Too many levels", "x" * 300: "File name too long"}.items():
        with pytest.raises(DataError, match=f"/{key} cannot be read: {words}"):
            store.read(key)


@pytest.mark.parametrize("status", [401, 403])
def test_a_bucket_without_rights(store_in_bucket: Store, monkeypatch, status: int):
    words = b'{"error": {"message": "Anonymous caller does not have storage.objects.get access."}}'
    for method in ("do_GET", "do_POST", "do_DELETE"):
        monkeypatch.setattr(_BucketHandler, method, lambda self: self.answer(status, words))
    for use in (
        lambda: store_in_bucket.read("a"),
        lambda: store_in_bucket.read_range("a", 0, 1)(),
        lambda: store_in_bucket.write("a", b""),
        lambda: store_in_bucket.write_if_absent("a", b""),
        lambda: store_in_bucket.keys(),
        lambda: store_in_bucket.delete("a"),
        lambda: store_in_bucket.delete_prefix("a"),
    ):
        with pytest.raises(DataError, match=rf"{store_in_bucket.location}.*{status}") as refusal:
            use()
        assert "\n" not in str(refusal.value) and "tensorstore_spec" not in str(refusal.value)
