"""Locations: where a file or folder is, on the local disk or in a Google Cloud Storage bucket."""

import posixpath
import re
from pathlib import Path

from promptscale.errors import StorageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/|(?i:gs):")
# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def is_remote(location: str) -> bool:
    """Whether a location is in a bucket: `gs://bucket/prefix`."""
    return location.startswith("gs://")


def resolve(location: str) -> str:
    """The location that a user's text names.

    A local path becomes absolute, from the working directory, with `~` expanded; links and `..`
    stay. A location in a bucket keeps its form `gs://bucket/prefix`, without empty parts and `..`.

    Raises:
      StorageError: the text is empty, has control characters or blanks around it, names another
        scheme, an unknown user or an impossible bucket.
    """
    if location != location.strip() or not location.isprintable() or not location:
        raise StorageError(
            f"{location!r} is no location: it is empty, or has blanks around it or unprintable "
            "characters; a location is a local path or gs://bucket/folder."
        )
    if is_remote(location):
        bucket, _, prefix = location.removeprefix("gs://").partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise StorageError(
                f"{location} names no bucket: {bucket!r} should have 3 or more lower-case letters, "
                "digits, '-', '_' and '.'."
            )
        return f"gs://{bucket}{posixpath.normpath('/' + prefix.lstrip('/'))}".rstrip("/")
    if _SCHEME.match(location):
        raise StorageError(
            f"{location} cannot be read: a location is a local path or gs://bucket/folder, "
            "with two slashes and in lower-case letters."
        )
    try:
        return str(Path(location).expanduser().absolute())
    except RuntimeError as error:
        raise StorageError(f"{location} begins with the home folder of an unknown user.") from error
