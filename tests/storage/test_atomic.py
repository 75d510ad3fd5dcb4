"""A refused write is a sentence, and leaves what was there before and nothing else."""

import contextlib
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptscale.errors import DataError, StorageError
from promptscale.storage.atomic import atomic_directory, atomic_write
from tests.rights import another_user


@contextlib.contextmanager
def small_disk() -> Iterator[None]:
    """Refuses files of more than 1000 bytes, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextlib.contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Makes a folder read-only, and acts as a user whom that concerns."""
    folder.chmod(0o555)
    try:
        with another_user():
            yield
    finally:
        folder.chmod(0o755)


def _file(path: Path) -> None:
    with atomic_write(path, DataError) as partial:
        partial.write_bytes(bytes(5000))


def _folder(path: Path) -> None:
    with atomic_directory(path, DataError) as partial:
        (partial / "file").write_bytes(bytes(5000))


@pytest.mark.parametrize("write", [_file, _folder])
def test_a_full_disk(tmp_path: Path, write):
    path = tmp_path / "output"
    with small_disk(), pytest.raises(DataError, match=f"{path} cannot be written: File too large"):
        write(path)
    assert list(tmp_path.iterdir()) == []
    write(path)
    (content,) = [file.read_bytes() for file in [path, path / "file"] if file.is_file()]
    assert content == bytes(5000)


@pytest.mark.parametrize("write", [_file, _folder])
def test_a_failure_leaves_the_old_output(tmp_path: Path, write):
    path = tmp_path / "output"
    write(path)
    before = sorted(tmp_path.rglob("*"))
    with small_disk(), pytest.raises(DataError):
        write(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("write", [_file, _folder])
def test_a_read_only_folder(tmp_path: Path, write):
    (tmp_path / "shared").mkdir()
    for name in ("output", "new/output"):
        path = tmp_path / "shared" / name
        refused = pytest.raises(DataError, match=f"{path} cannot be written: Permission denied")
        with without_rights(tmp_path / "shared"), refused:
            write(path)
    assert [p.name for p in tmp_path.rglob("*")] == ["shared"]


def test_a_folder_and_a_file_do_not_replace_each_other(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("before")
    with pytest.raises(DataError, match="folder cannot be written: Is a directory"):
        _file(tmp_path / "folder")
    with pytest.raises(DataError, match="file cannot be written: Not a directory"):
        _folder(tmp_path / "file")
    with pytest.raises(DataError, match="file/below cannot be written: .*: " + str(tmp_path)):
        _file(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_other_errors_of_the_writer_are_its_affair(tmp_path: Path):
    with pytest.raises(ValueError, match="of the writer"), atomic_write(tmp_path / "x"):
        raise ValueError("of the writer")
    named = pytest.raises(StorageError, match=f"cannot be written: .*: {tmp_path}/input")
    with named, atomic_write(tmp_path / "x") as partial:
        partial.write_bytes((tmp_path / "input").read_bytes())
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(StorageError, match="pipe cannot be written: a device or pipe"),
        atomic_write(tmp_path / "pipe"),
    ):
        pass
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_linked_folder_is_replaced_behind_its_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for content in ("1", "2"):
        with atomic_directory(tmp_path / "link") as partial:
            (partial / "file").write_text(content)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "file").read_text() == "2"
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link"}
