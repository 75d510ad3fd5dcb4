"""A fingerprint changes with the content of files, and with nothing else."""

import os

import pytest

from promptscale.storage.fingerprint import contents_digest, fingerprint


@pytest.fixture(autouse=True)
def fresh():
    """The function remembers its answers for the life of a process; a test changes files."""
    fingerprint.cache_clear()


def test_content_counts_and_the_time_and_the_path_do_not(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        (folder / "inner").mkdir(parents=True)
        (folder / "inner/file").write_text("a")
    os.utime(second / "inner/file", (1, 1))
    assert fingerprint(str(first)) == fingerprint(str(second)) != ""
    (second / "inner/file").write_text("b")
    fingerprint.cache_clear()
    assert fingerprint(str(first)) != fingerprint(str(second))


def test_a_large_file_is_known_by_its_size_and_time(tmp_path):
    file = tmp_path / "large"
    file.write_bytes(b"\0" * (2**20 + 1))
    before = fingerprint(str(file))
    os.utime(file, (1, 1))
    fingerprint.cache_clear()
    assert fingerprint(str(file)) != before


def test_added_renamed_and_missing_files_change_it(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("x")
    states = [fingerprint(str(folder))]
    (folder / "b").write_text("x")
    fingerprint.cache_clear()
    states.append(fingerprint(str(folder)))
    (folder / "b").rename(folder / "c")
    fingerprint.cache_clear()
    states += [fingerprint(str(folder)), fingerprint(str(tmp_path / "nowhere"))]
    assert len(set(states)) == 4


def test_what_cannot_be_read_has_a_fingerprint_and_a_bucket_has_none(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert fingerprint(str(tmp_path)) and fingerprint(str(tmp_path / "loop"))
    assert fingerprint("gs://bucket/checkpoint") == ""


def test_a_file_behind_a_linked_folder_counts(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "array").write_text("1")
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "checkpoint")
    before = fingerprint(str(tmp_path / "checkpoint"))
    (tmp_path / "real" / "array").write_text("2")
    fingerprint.cache_clear()
    assert fingerprint(str(tmp_path / "checkpoint")) != before


def test_the_digest_of_contents_depends_on_names_and_contents_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("promptscale.storage.fingerprint._COMPARED", 4)
    for folder, content in (("a", b"12345678"), ("b", b"12345678"), ("c", b"12345679")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_bytes(content)
    first, same, other = (contents_digest([str(tmp_path / n / "file")]) for n in "abc")
    assert first == same != other
    assert contents_digest(["gs://bucket/x"]) != contents_digest(["gs://bucket/y"])
