"""A user's text becomes a location once, and a text that names none is refused in a sentence."""

from pathlib import Path

import pytest

from promptscale.errors import StorageError
from promptscale.storage.location import is_remote, resolve


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("gs://bucket", "gs://bucket"),
        ("gs://bucket/", "gs://bucket"),
        ("gs://bucket//a/./b/../c//", "gs://bucket/a/c"),
        ("gs://a.b-c_9/d e", "gs://a.b-c_9/d e"),
        ("/", "/"),
        ("/a//b/./c/", "/a/b/c"),
    ],
)
def test_a_location_has_a_single_form(text, location):
    assert resolve(text) == location
    assert resolve(location) == location


def test_a_local_path_becomes_absolute_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/user")
    assert resolve("a/b") == str(tmp_path / "a/b")
    assert resolve("~/models") == "/home/user/models"
    assert resolve("~") == "/home/user"
    assert resolve("a:b") == str(tmp_path / "a:b")


def test_links_stay_in_a_location(tmp_path):
    Path(tmp_path / "link").symlink_to(tmp_path / "folder")
    assert resolve(str(tmp_path / "link")) == str(tmp_path / "link")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "a ", "a\nb", "a\0b", "~no_such_user_of_this_machine/a"),
        *(
            "gs:/bucket/a",
            "gs:bucket",
            "GS://bucket",
            "gs://",
            "gs:///a",
            "gs://UPPER/a",
            "gs://ab",
        ),
        *("gs://-ab", "s3://bucket/a", "http://host/a", "file:///a", "C:/models"),
    ],
)
def test_a_text_that_names_no_location_is_refused(text):
    with pytest.raises(StorageError) as refusal:
        resolve(text)
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)


def test_locations_in_buckets_are_remote():
    assert is_remote("gs://bucket/a")
    assert not is_remote("/gs://bucket") and not is_remote("a/b")
